# syntax=docker/dockerfile:1
# Two images: one for a CPU, one for a node with a CUDA GPU.
#
#   docker build --target cpu  -t srwm:cpu  .
#   docker build --target cuda -t srwm:cuda .
#   docker run --rm --shm-size=4g -v "$PWD/runs:/app/runs" srwm:cpu train quickstart
#   docker run --rm --shm-size=8g --gpus all -v "$PWD/runs:/app/runs" srwm:cuda train paper-easy6
#
# --shm-size: Ray keeps rollouts in /dev/shm. Both images have a C++ compiler, because the kernels
# for a CPU are compiled on first use. torch's CUDA build brings the CUDA libraries itself: the host
# needs the NVIDIA driver and its container toolkit, the image needs neither.

FROM python:3.11-slim-bookworm AS base
# libgl1 and libglib2.0-0: ProcGen's Qt. rsync: `ray up` copies files with it. wget: older KubeRay
# operators look with it whether a node is well. Versions are Debian's, of the release named above.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --no-install-recommends -y g++ libgl1 libglib2.0-0 rsync wget \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /app
ENV PIP_CONSTRAINT=/app/constraints.txt \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONUNBUFFERED=1
# The files that decide the dependencies come first: a change of the code alone installs no
# dependency again.
COPY constraints.txt setup.cfg pyproject.toml README.md LICENSE ./

FROM base AS cuda
# PIP_CONSTRAINT holds the versions.
# hadolint ignore=DL3013
RUN python -m pip install '.[cuda,cluster]'
COPY . .
RUN python -m pip install --no-deps --force-reinstall .
VOLUME /app/runs
ENTRYPOINT ["srwm"]
CMD ["--help"]

# Last, so that `docker build .` without a target makes it.
FROM base AS cpu
# hadolint ignore=DL3013
RUN python -m pip install --extra-index-url https://download.pytorch.org/whl/cpu '.[cluster]'
COPY . .
RUN python -m pip install --no-deps --force-reinstall .
VOLUME /app/runs
ENTRYPOINT ["srwm"]
CMD ["--help"]
