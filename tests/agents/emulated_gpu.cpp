// The part of a kernel's source that is meant for GPUs, run by a CPU: a thread for each lane, one
// block after the other. Slow, but it is that very code: its barriers, shuffles and prefetches.
//
// Compiled with -DSOURCE="..." -DFORWARD=... -DBACKWARD=..., the names of the entry points.
#include <pthread.h>

#include <cmath>
#include <cstring>
#include <thread>
#include <vector>

#define __CUDACC__
#define __device__
#define __global__
#define __forceinline__ inline
#define __shared__ static
#define __launch_bounds__(...)
#define __expf expf

static thread_local struct { int x; } threadIdx, blockIdx;
static pthread_barrier_t everyone, one_warp[32];
static float exchanged[1024];

static void __syncthreads() { pthread_barrier_wait(&everyone); }
static void __syncwarp() { pthread_barrier_wait(&one_warp[threadIdx.x / 32]); }

static float __shfl_xor_sync(unsigned, float mine, int offset) {
  exchanged[threadIdx.x] = mine;
  __syncwarp();
  const float other = exchanged[threadIdx.x ^ offset];
  __syncwarp();
  return other;
}

#include SOURCE

template <class Arguments>
void launch(void (*entry)(const Arguments), const Arguments& arguments, int blocks) {
  pthread_barrier_init(&everyone, nullptr, LANES);
  for (auto& barrier : one_warp) pthread_barrier_init(&barrier, nullptr, 32);
  for (int block = 0; block < blocks; block++) {
    std::vector<std::thread> threads;
    for (int lane = 0; lane < LANES; lane++) {
      threads.emplace_back([&, lane] {
        blockIdx.x = block;
        threadIdx.x = lane;
        entry(arguments);
      });
    }
    for (auto& thread : threads) thread.join();
  }
  pthread_barrier_destroy(&everyone);
  for (auto& barrier : one_warp) pthread_barrier_destroy(&barrier);
}

extern "C" void launch_forward(const ForwardArguments* arguments, int blocks) {
  launch(FORWARD, *arguments, blocks);
}
extern "C" void launch_backward(const BackwardArguments* arguments, int blocks) {
  launch(BACKWARD, *arguments, blocks);
}
