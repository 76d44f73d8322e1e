// What the kernels of fast weights have in common: a matrix of ROWS x D that a group of lanes holds,
// one row a lane in each of SLOTS slots, and that a rank-one update a step changes.
//
// The kernel defines before this file: ROWS, and `outside(i)`, the place in memory of its row i.
#pragma once
#include "lanes.h"

constexpr int SLOTS = (ROWS + LANES - 1) / LANES;
constexpr int PADDED = SLOTS * LANES;  // a vector of rows as it is stored: every lane has a place

// The backward pass undoes the updates one by one. Every SEGMENT steps it starts afresh from a state
// that the forward pass kept, so that rounding cannot add up over a long unroll.
constexpr int SEGMENT = 64;

struct Matrix {
  lanes at[SLOTS][D];

  INLINE Matrix() { keep_in_memory(this); }

  INLINE void zero() {
    UNROLL for (int s = 0; s < SLOTS; s++) {
      UNROLL for (int c = 0; c < D; c++) at[s][c] = 0.0f;
    }
  }

  INLINE void load(const float* from) {
    zero();
    add(from);
  }

  INLINE void add(const float* from) {
    UNROLL for (int s = 0; s < SLOTS; s++) {
      for_lanes([&](int l) {
        const int i = s * LANES + l;
        if (i >= ROWS) return;
        UNROLL for (int c = 0; c < D; c++) element_of(at[s][c], l) += from[outside(i) * D + c];
      });
    }
  }

  INLINE void save(float* to) const {
    UNROLL for (int s = 0; s < SLOTS; s++) {
      for_lanes([&](int l) {
        const int i = s * LANES + l;
        if (i >= ROWS) return;
        UNROLL for (int c = 0; c < D; c++) to[outside(i) * D + c] = element_of(at[s][c], l);
      });
    }
  }

  INLINE void negate() {
    UNROLL for (int s = 0; s < SLOTS; s++) {
      UNROLL for (int c = 0; c < D; c++) at[s][c] = lanes(0.0f) - at[s][c];
    }
  }

  // += step (outer) key
  INLINE void update(const lanes* step, const float* key) {
    UNROLL for (int s = 0; s < SLOTS; s++) {
      UNROLL for (int c = 0; c < D; c++) at[s][c] = fma(step[s], key[c], at[s][c]);
    }
  }

  INLINE void multiply(const float* by, lanes* result) const {
    UNROLL for (int s = 0; s < SLOTS; s++) result[s] = dot<D>(at[s], by);
  }

  // Each lane's part of the transposed product: += sum over its rows of row * by.
  INLINE void transposed(const lanes* by, lanes* result) const {
    UNROLL for (int s = 0; s < SLOTS; s++) {
      UNROLL for (int c = 0; c < D; c++) result[c] = fma(at[s][c], by[s], result[c]);
    }
  }
};

// One value a row, from or to memory of ROWS elements.
INLINE void read_rows(const float* from, lanes* rows) {
  UNROLL for (int s = 0; s < SLOTS; s++) {
    for_lanes([&](int l) {
      const int i = s * LANES + l;
      element_of(rows[s], l) = i < ROWS ? from[outside(i)] : 0.0f;
    });
  }
}

template <class T>
INLINE void write_rows(const lanes* rows, T* to) {
  UNROLL for (int s = 0; s < SLOTS; s++) {
    for_lanes([&](int l) {
      const int i = s * LANES + l;
      if (i < ROWS) to[outside(i)] = rounded<T>(element_of(rows[s], l));
    });
  }
}

// Load the last state that is known of those that steps up to t found: zero where an episode opened,
// else a checkpoint or what the unroll began with. Returns the step from which the kept updates lead
// to t.
template <class Arguments>
INLINE int load_known(Matrix& state, int t, int item, const float* initial, const Arguments& a) {
  const auto opens = [&](int u) {
    return a.first[static_cast<long>(u) * a.batch + item / a.heads];
  };
  const long size = static_cast<long>(ROWS) * D, items = static_cast<long>(a.batch) * a.heads;
  int start = t;
  while (start % SEGMENT && (start == t || !opens(start))) start--;
  if (start < t && opens(start)) state.zero();
  else if (start == 0) state.load(initial + item * size);
  else state.load(a.checkpoints + ((start / SEGMENT - 1) * items + item) * size);
  return start;
}

// A sequence of uniform numbers, one a step. A GPU fetches each AHEAD steps before it is used.
template <class T, int AHEAD = 4>
struct Scalars {
  const T* from;
  long stride;
  int left;

#ifdef __CUDACC__
  float ahead[AHEAD];

  INLINE Scalars(const T* from, long stride, int count) : from(from), stride(stride), left(count) {
    UNROLL for (int a = 0; a < AHEAD; a++) ahead[a] = fetch();
  }

  INLINE float fetch() {
    const float value = left > 0 ? to_float(*from) : 0.0f;
    from += stride;
    left--;
    return value;
  }

  INLINE float next() {
    const float value = ahead[0];
    UNROLL for (int a = 1; a < AHEAD; a++) ahead[a - 1] = ahead[a];
    ahead[AHEAD - 1] = fetch();
    return value;
  }
#else
  INLINE Scalars(const T* from, long stride, int count) : from(from), stride(stride), left(count) {}

  INLINE float next() {
    const float value = to_float(*from);
    from += stride;
    return value;
  }
#endif
};

// A sequence of uniform vectors of N elements, one a step. A GPU fetches each AHEAD steps before it
// is used and hands it out in shared memory, where it may be read after a barrier; a CPU reads it
// where it lies.
template <int N, class T, int AHEAD = 4>
struct Sequence {
  const T* from;
  long stride;
  int left;

#ifdef __CUDACC__
  static constexpr int PARTS = (N + LANES - 1) / LANES;
  float ahead[AHEAD][PARTS];

  INLINE Sequence(const T* from, long stride, int count) : from(from), stride(stride), left(count) {
    UNROLL for (int a = 0; a < AHEAD; a++) fetch(ahead[a]);
  }

  INLINE void fetch(float* to) {
    UNROLL for (int p = 0; p < PARTS; p++) {
      const int i = p * LANES + lane();
      to[p] = left > 0 && i < N ? to_float(from[i]) : 0.0f;
    }
    from += stride;
    left--;
  }

  INLINE const float* next(float* shared) {
    copy_next(shared);
    return shared;
  }

  INLINE void copy_next(float* shared) {
    UNROLL for (int p = 0; p < PARTS; p++) {
      const int i = p * LANES + lane();
      if (i < N) shared[i] = ahead[0][p];
      UNROLL for (int a = 1; a < AHEAD; a++) ahead[a - 1][p] = ahead[a][p];
    }
    fetch(ahead[AHEAD - 1]);
  }
#else
  INLINE Sequence(const T* from, long stride, int count) : from(from), stride(stride), left(count) {}

  INLINE const float* next(float* shared) {
    if constexpr (sizeof(T) == sizeof(float)) {
      const T* here = from;
      from += stride;
      return here;
    } else {
      copy_next(shared);
      return shared;
    }
  }

  INLINE void copy_next(float* shared) {
    UNROLL for (int i = 0; i < N; i++) shared[i] = to_float(from[i]);
    from += stride;
  }
#endif
};

// The entry point of a kernel: one block of lanes, or one turn of a CPU thread, for each item.
#ifdef __CUDACC__
// Warps at once on a multiprocessor: 168 registers a lane where these do (see spec.py), else 255.
constexpr int RESIDENT = D * (2 * SLOTS + 3) <= 112 ? 12 : 8;

#define ENTRY(NAME, ARGUMENTS, SHARED, FUNCTION)                              \
  extern "C" __global__ void __launch_bounds__(LANES, RESIDENT / WARPS)       \
      NAME(const ARGUMENTS arguments) {                                       \
    __shared__ SHARED shared;                                                 \
    FUNCTION(blockIdx.x, shared, arguments);                                  \
  }
#else
#include <thread>
#include <vector>

template <class F>
void split(int items, int threads, F f) {
  std::vector<std::thread> others;
  const auto begin = [&](int i) { return static_cast<int>(static_cast<long>(items) * i / threads); };
  for (int i = 1; i < threads; i++) others.emplace_back(f, begin(i), begin(i + 1));
  f(0, begin(1));
  for (auto& other : others) other.join();
}

#define ENTRY(NAME, ARGUMENTS, SHARED, FUNCTION)                                       \
  extern "C" void NAME(const ARGUMENTS* arguments, int threads) {                      \
    split(arguments->batch * arguments->heads, threads, [&](int begin, int end) {      \
      SHARED shared;                                                                   \
      keep_in_memory(&shared);                                                         \
      for (int item = begin; item < end; item++) FUNCTION(item, shared, *arguments);   \
    });                                                                                \
  }
#endif
