"""What KubeRay and Kubernetes accept, as far as the manifest uses it, without unknown keys.

Facts from ray-operator/config/crd/bases/ray.io_rayjobs.yaml (ray.io/v1) of ray-project/kuberay, as
of August 2026, written anew and reduced. Kubernetes drops an unknown key of it without an error.
"""

TEXT, YES_OR_NO, COUNT = {"type": "string"}, {"type": "boolean"}, {"type": "integer", "minimum": 0}
TEXTS = {"type": "array", "items": TEXT}
QUANTITIES = {"type": "object", "additionalProperties": {"type": ["string", "integer"]}}


def record(required=(), **properties):
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def listed(items):
    return {"type": "array", "items": items}


CONTAINER = record(
    ["name"],
    name=TEXT,
    image=TEXT,
    env=listed(record(["name"], name=TEXT, value=TEXT)),
    resources=record(requests=QUANTITIES, limits=QUANTITIES),
    ports=listed(record(["containerPort"], name=TEXT, containerPort=COUNT)),
    lifecycle=record(preStop=record(exec=record(command=TEXTS))),
    volumeMounts=listed(record(["name", "mountPath"], name=TEXT, mountPath=TEXT)),
)
POD = record(
    ["containers"],
    containers=listed(CONTAINER),
    terminationGracePeriodSeconds=COUNT,
    tolerations=listed(record(key=TEXT, operator={"enum": ["Exists", "Equal"]}, effect=TEXT)),
    volumes=listed(
        record(["name"], name=TEXT, persistentVolumeClaim=record(["claimName"], claimName=TEXT))
    ),
)
TEMPLATE = record(metadata={"type": "object"}, spec={"type": "object"})
START_PARAMETERS = {"type": "object", "additionalProperties": TEXT}
HEAD = record(["template"], rayStartParams=START_PARAMETERS, template=TEMPLATE)
WORKERS = record(
    ["groupName", "minReplicas", "maxReplicas", "template"],
    groupName=TEXT,
    replicas=COUNT,
    minReplicas=COUNT,
    maxReplicas=COUNT,
    rayStartParams=START_PARAMETERS,
    template=TEMPLATE,
)
CLUSTER = record(
    ["headGroupSpec"],
    rayVersion=TEXT,
    authOptions=record(mode={"enum": ["disabled", "token"]}, secretName=TEXT),
    enableInTreeAutoscaling=YES_OR_NO,
    headGroupSpec=HEAD,
    workerGroupSpecs=listed(WORKERS),
)
RAY_JOB = record(
    ["apiVersion", "kind", "metadata", "spec"],
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayJob"},
    metadata=record(
        ["name"], name={"type": "string", "pattern": "^[a-z]([a-z0-9-]{0,45}[a-z0-9])?$"}
    ),
    spec=record(
        jobId=TEXT,
        entrypoint=TEXT,
        shutdownAfterJobFinishes=YES_OR_NO,
        backoffLimit=COUNT,
        rayClusterSpec=CLUSTER,
    ),
)
