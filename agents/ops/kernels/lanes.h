// A group of LANES lanes that move together: the one idea that lets a kernel be written once.
//
// On a GPU a lane is a thread of a block and a `lanes` value is one register of it. On a CPU a
// `lanes` value is an array of LANES floats, which the compiler keeps in SIMD registers. A plain
// `float` is uniform: the same in every lane.
//
// What crosses lanes goes through `shared` memory (written by `store`, then `barrier`, then read by
// all as plain floats) or through `sum_over_lanes`.
#pragma once

#ifndef WARPS
#define WARPS 1
#endif
constexpr int WARP = 32;
constexpr int LANES = WARP * WARPS;

#ifdef __CUDACC__  // ------------------------------------------------------------------- one thread

#define INLINE __device__ __forceinline__
#define UNROLL _Pragma("unroll")
typedef float lanes;

INLINE void keep_in_memory(void*) {}
INLINE int lane() { return threadIdx.x; }

INLINE void barrier() {
#if WARPS == 1
  __syncwarp();
#else
  __syncthreads();
#endif
}

INLINE lanes fma(lanes a, lanes b, lanes c) { return fmaf(a, b, c); }
INLINE lanes exponential(lanes a) { return __expf(a); }
INLINE float larger(float a, float b) { return fmaxf(a, b); }

// The lanes whose index slot * LANES + lane is below `bound` take a, the others b.
template <int BOUND>
INLINE lanes select_below(int slot, lanes a, lanes b) {
  return slot * LANES + lane() < BOUND ? a : b;
}

// Memory of LANES consecutive floats.
INLINE void store(float* to, lanes a) { to[lane()] = a; }
INLINE lanes load(const float* from) { return from[lane()]; }

// Calls f(lane) in each lane; there element_of(a, lane) is that lane's part of a.
template <class F>
INLINE void for_lanes(F f) { f(lane()); }
INLINE float& element_of(lanes& a, int) { return a; }
INLINE float element_of(const lanes& a, int) { return a; }

// Calls f(0), ..., f(n - 1), shared out among the lanes.
template <class F>
INLINE void share_out(int n, F f) {
  UNROLL for (int i = 0; i < n; i += LANES) {
    if (i + lane() < n) f(i + lane());
  }
}

template <int OFFSET>
INLINE lanes exchange(lanes a) { return __shfl_xor_sync(0xffffffffu, a, OFFSET); }
template <int OFFSET>
INLINE lanes where_bit(lanes set, lanes clear) { return lane() & OFFSET ? set : clear; }

#else  // -------------------------------------------------------------------------------- all lanes

#include <cstring>

#define INLINE inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 64")

#if defined(__AVX512F__)
constexpr int WIDTH = 16;
#elif defined(__AVX__)
constexpr int WIDTH = 8;
#else
constexpr int WIDTH = 4;
#endif
constexpr int CHUNKS = LANES / WIDTH;
typedef float vec __attribute__((vector_size(4 * WIDTH)));
typedef int ints __attribute__((vector_size(4 * WIDTH)));

struct lanes {
  vec v[CHUNKS];
  lanes() = default;
  INLINE lanes(float a) {
    UNROLL for (int i = 0; i < CHUNKS; i++) v[i] = a - vec{};
  }
};

template <class F>
INLINE lanes by_chunk(F f) {
  lanes r;
  UNROLL for (int i = 0; i < CHUNKS; i++) r.v[i] = f(i);
  return r;
}

INLINE lanes operator+(const lanes& a, const lanes& b) {
  return by_chunk([&](int i) { return a.v[i] + b.v[i]; });
}
INLINE lanes operator-(const lanes& a, const lanes& b) {
  return by_chunk([&](int i) { return a.v[i] - b.v[i]; });
}
INLINE lanes operator*(const lanes& a, const lanes& b) {
  return by_chunk([&](int i) { return a.v[i] * b.v[i]; });
}
INLINE lanes operator/(const lanes& a, const lanes& b) {
  return by_chunk([&](int i) { return a.v[i] / b.v[i]; });
}
INLINE lanes fma(const lanes& a, const lanes& b, const lanes& c) {
  return by_chunk([&](int i) { return a.v[i] * b.v[i] + c.v[i]; });
}
INLINE float larger(float a, float b) { return a > b ? a : b; }

// Values that other lanes read are read back from memory: a load broadcasts for free, while a compiler
// that sees through the store takes vectors apart with shuffles.
INLINE void barrier() { asm volatile("" ::: "memory"); }

// Keep what `here` points to in memory. A matrix does not fit the registers, and a compiler that
// tries nevertheless copies it twice a step.
INLINE void keep_in_memory(void* here) { asm volatile("" ::"r"(here) : "memory"); }

INLINE ints counting() {
  ints r;
  UNROLL for (int i = 0; i < WIDTH; i++) r[i] = i;
  return r;
}

// exp(a) = 2^n exp(r) with |r| <= ln(2) / 2, where a polynomial is exact to 1 ulp (Cephes, expf).
INLINE vec exponential(vec a) {
  a = a > 88.0f ? 88.0f - vec{} : a;
  a = a < -87.0f ? -87.0f - vec{} : a;
  const vec shifter = 12582912.0f - vec{};  // 1.5 * 2^23: adding it rounds to an integer
  const vec n = (a * 1.44269504f + shifter) - shifter;
  const vec r = (a - n * 0.693359375f) + n * 2.12194440e-4f;
  vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const ints power = (__builtin_convertvector(n, ints) + 127) << 23;
  vec scale;
  memcpy(&scale, &power, sizeof scale);
  return p * scale;
}
INLINE lanes exponential(const lanes& a) {
  return by_chunk([&](int i) { return exponential(a.v[i]); });
}

template <int BOUND>
INLINE lanes select_below(int slot, const lanes& a, const lanes& b) {
  const ints count = counting();
  return by_chunk([&](int i) -> vec {
    const int begin = slot * LANES + i * WIDTH;
    if (begin + WIDTH <= BOUND) return a.v[i];
    if (begin >= BOUND) return b.v[i];
    return count < BOUND - begin ? a.v[i] : b.v[i];
  });
}

INLINE void store(float* to, const lanes& a) { memcpy(to, &a, sizeof a); }
INLINE lanes load(const float* from) {
  lanes r;
  memcpy(&r, from, sizeof r);
  return r;
}

template <class F>
INLINE void for_lanes(F f) {
  for (int l = 0; l < LANES; l++) f(l);
}
INLINE float& element_of(lanes& a, int l) { return reinterpret_cast<float*>(&a)[l]; }
INLINE float element_of(const lanes& a, int l) { return reinterpret_cast<const float*>(&a)[l]; }

template <class F>
INLINE void share_out(int n, F f) {
  for (int i = 0; i < n; i++) f(i);
}

template <int OFFSET>
INLINE lanes exchange(const lanes& a) {
  return by_chunk([&](int i) -> vec {
    if constexpr (OFFSET >= WIDTH) {
      return a.v[i ^ (OFFSET / WIDTH)];
    } else {
#if defined(__clang__)
      vec r;
      UNROLL for (int l = 0; l < WIDTH; l++) r[l] = a.v[i][l ^ OFFSET];
      return r;
#else
      return __builtin_shuffle(a.v[i], counting() ^ OFFSET);
#endif
    }
  });
}
template <int OFFSET>
INLINE lanes where_bit(const lanes& set, const lanes& clear) {
  return by_chunk([&](int i) -> vec {
    if constexpr (OFFSET >= WIDTH) {
      return i & (OFFSET / WIDTH) ? set.v[i] : clear.v[i];
    } else {
      return (counting() & OFFSET) != 0 ? set.v[i] : clear.v[i];
    }
  });
}

#endif  // ------------------------------------------------------------------------------ both again

// The elements of a sequence: float32, or bfloat16 as its 16 bits.
INLINE float to_float(float a) { return a; }
INLINE float to_float(unsigned char a) { return a; }
INLINE float to_float(unsigned short a) {
  const unsigned int bits = static_cast<unsigned int>(a) << 16;
  float r;
  memcpy(&r, &bits, sizeof r);
  return r;
}
#ifdef BFLOAT16
typedef unsigned short element;
INLINE element to_element(float a) {  // rounds to nearest even; a NaN stays one
  if (a != a) return 0x7fc0;
  unsigned int bits;
  memcpy(&bits, &a, sizeof bits);
  return static_cast<element>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
#else
typedef float element;
INLINE element to_element(float a) { return a; }
#endif
template <class T>
INLINE T rounded(float a) {
  if constexpr (sizeof(T) == sizeof(float)) return a;
  else return to_element(a);
}

// Per-lane partial sums v[0..N), N a power of two up to 32, become totals over each warp. Every
// exchange halves what a lane still adds up, so N values cost about N exchanges and not 5 N. In the
// end lane l of a warp holds the total of value l / (32 / N).
template <int N, int OFFSET = WARP / 2>
INLINE void sum_within_warps(lanes* v) {
  if constexpr (N > 1) {
    UNROLL for (int i = 0; i < N / 2; i++) {
      v[i] = where_bit<OFFSET>(v[i + N / 2], v[i]) +
             exchange<OFFSET>(where_bit<OFFSET>(v[i], v[i + N / 2]));
    }
  } else {
    v[0] = v[0] + exchange<OFFSET>(v[0]);
  }
  if constexpr (OFFSET > 1) sum_within_warps<(N > 1 ? N / 2 : 1), OFFSET / 2>(v);
}

INLINE constexpr int power_of_two(int n) {
  int power = 1;
  while (power < n) power *= 2;
  return power;
}

// Write the sum over a warp's lanes of each v[j], j < N, to sums[warp * STRIDE + j]. After a barrier
// `total` adds the warps.
template <int N, int STRIDE>
INLINE void sum_over_lanes(const lanes* v, float* sums) {
  constexpr int PART = N >= WARP ? WARP : power_of_two(N);
  lanes part[PART];
  UNROLL for (int j = 0; j < PART; j++) part[j] = j < N ? v[j] : lanes(0.0f);
  sum_within_warps<PART>(part);
  for_lanes([&](int l) {
    const int j = l % WARP / (WARP / PART);
    if (l % (WARP / PART) == 0 && j < N) sums[l / WARP * STRIDE + j] = element_of(part[0], l);
  });
  if constexpr (N > WARP) sum_over_lanes<N - WARP, STRIDE>(v + WARP, sums + WARP);
}

template <int STRIDE>
INLINE float total(const float* sums, int j) {
  float r = sums[j];
  UNROLL for (int w = 1; w < WARPS; w++) r += sums[w * STRIDE + j];
  return r;
}

// Four chains, so that neither processor waits for each addition in turn.
template <int N, class F>
INLINE float uniform_sum(F f) {
  float r[4] = {0.0f, 0.0f, 0.0f, 0.0f};
  UNROLL for (int c = 0; c < N; c++) r[c % 4] += f(c);
  return (r[0] + r[1]) + (r[2] + r[3]);
}

template <int N>
INLINE float uniform_max(const float* a) {
  float r[4] = {a[0], a[N > 1 ? 1 : 0], a[N > 2 ? 2 : 0], a[N > 3 ? 3 : 0]};
  UNROLL for (int c = 4; c < N; c++) r[c % 4] = larger(r[c % 4], a[c]);
  return larger(larger(r[0], r[1]), larger(r[2], r[3]));
}

// A row's product with a uniform vector, in two chains.
template <int N>
INLINE lanes dot(const lanes* row, const float* a) {
  lanes even = row[0] * lanes(a[0]), odd = 0.0f;
  UNROLL for (int c = 1; c < N; c++) {
    if (c % 2) odd = fma(row[c], a[c], odd);
    else even = fma(row[c], a[c], even);
  }
  return even + odd;
}
