// Fast weights under the delta rule over a whole unroll, forward and backward.
// agents/ops/delta/reference.py is the definition.
//
// Compiled for one key size D and one value size E. A group of lanes owns one (environment, head).
#define ROWS E
#include "lanes.h"

INLINE int outside(int i) { return i; }

#include "fast_weights.h"

struct ForwardArguments {
  const element* q;            // [T, B, H, D]
  const element* k;            // [T, B, H, D]
  const element* v;            // [T, B, H, E]
  const element* beta;         // [T, B, H]
  const unsigned char* first;  // [T, B]
  const float* weights;        // [B, H, E, D]
  element* y;                  // [T, B, H, E]
  float* last_weights;         // [B, H, E, D]
  float* kept;                 // [T, B, H, E], v - W k, or null where there is no backward pass
  float* checkpoints;          // [(T - 1) / SEGMENT, B, H, E, D], or null
  int steps, batch, heads;
};

struct ForwardShared {  // in pairs: one is filled while lanes that lag behind still read the other
  alignas(64) float q[2][D];
  alignas(64) float k[2][D];
  alignas(64) float v[2][PADDED];
};

INLINE void forward(int item, ForwardShared& shared, const ForwardArguments& a) {
  const long items = static_cast<long>(a.batch) * a.heads;
  const long matrix = static_cast<long>(item) * ROWS * D;

  Matrix weights;
  weights.load(a.weights + matrix);
  Sequence<D, element> all_q(a.q + static_cast<long>(item) * D, items * D, a.steps);
  Sequence<D, element> all_k(a.k + static_cast<long>(item) * D, items * D, a.steps);
  Sequence<E, element> all_v(a.v + static_cast<long>(item) * E, items * E, a.steps);
  Scalars<element> all_beta(a.beta + item, items, a.steps);
  Scalars<unsigned char> flags(a.first + item / a.heads, a.batch, a.steps);
  share_out(PADDED, [&](int i) { shared.v[0][i] = shared.v[1][i] = 0.0f; });
  barrier();
  for (int t = 0; t < a.steps; t++) {
    const long here = t * items + item;
    const float *q = all_q.next(shared.q[t & 1]), *k = all_k.next(shared.k[t & 1]);
    const float beta = all_beta.next();
    const bool opens = flags.next();
    all_v.copy_next(shared.v[t & 1]);
    barrier();
    if (a.checkpoints && t && t % SEGMENT == 0) {
      weights.save(a.checkpoints + (t / SEGMENT - 1) * items * ROWS * D + matrix);
    }
    if (opens) weights.zero();

    lanes answer[SLOTS], error[SLOTS], step[SLOTS], y[SLOTS];
    weights.multiply(k, answer);
    UNROLL for (int s = 0; s < SLOTS; s++) {
      error[s] = load(shared.v[t & 1] + s * LANES) - answer[s];
      step[s] = error[s] * lanes(beta);
    }
    weights.update(step, k);
    weights.multiply(q, y);
    write_rows(y, a.y + here * E);
    if (a.kept) write_rows(error, a.kept + here * E);
  }
  weights.save(a.last_weights + matrix);
}

struct BackwardArguments {
  const element* q;  // as in the forward pass
  const element* k;
  const element* beta;
  const unsigned char* first;
  const float* weights;
  const float* last_weights;
  const float* kept;
  const float* checkpoints;
  const element* dy;            // [T, B, H, E]
  const float* d_last_weights;  // [B, H, E, D], or null for zero
  element* dq;                  // [T, B, H, D]
  element* dk;                  // [T, B, H, D]
  element* dv;                  // [T, B, H, E]
  element* d_beta;              // [T, B, H]
  float* d_weights;             // [B, H, E, D]
  int steps, batch, heads;
};

constexpr int SUMS = 2 * D + 1;  // over all rows: the derivatives by q, k and beta

struct BackwardShared {
  alignas(64) float q[D];
  alignas(64) float k[D];
  alignas(64) float dy[PADDED];
  alignas(64) float error[PADDED];
  alignas(64) float sums[WARPS * SUMS];
};

// The weights that step t found, if it opened no episode.
INLINE void rebuild(Matrix& weights, int t, int item, const BackwardArguments& a) {
  const long items = static_cast<long>(a.batch) * a.heads;
  for (int u = load_known(weights, t, item, a.weights, a); u < t; u++) {
    const long here = u * items + item;
    float key[D];
    UNROLL for (int c = 0; c < D; c++) key[c] = to_float(a.k[here * D + c]);
    lanes step[SLOTS];
    read_rows(a.kept + here * E, step);
    UNROLL for (int s = 0; s < SLOTS; s++) step[s] = step[s] * lanes(to_float(a.beta[here]));
    weights.update(step, key);
  }
}

INLINE void backward(int item, BackwardShared& shared, const BackwardArguments& a) {
  const long items = static_cast<long>(a.batch) * a.heads;
  const long matrix = static_cast<long>(item) * ROWS * D;

  Matrix weights, gradient;  // W_t, and the loss's derivative by it
  weights.load(a.last_weights + matrix);
  if (a.d_last_weights) gradient.load(a.d_last_weights + matrix);
  else gradient.zero();

  const long last = (a.steps - 1) * items + item;
  Sequence<D, element, 2> all_q(a.q + last * D, -items * D, a.steps);
  Sequence<D, element, 2> all_k(a.k + last * D, -items * D, a.steps);
  Scalars<element, 2> all_beta(a.beta + last, -items, a.steps);
  Scalars<unsigned char, 2> flags(
      a.first + static_cast<long>(a.steps - 1) * a.batch + item / a.heads, -a.batch, a.steps);
  Sequence<E, float, 2> all_errors(a.kept + last * E, -items * E, a.steps);
  Sequence<E, element, 2> all_dy(a.dy + last * E, -items * E, a.steps);
  share_out(PADDED, [&](int i) { shared.dy[i] = shared.error[i] = 0.0f; });
  barrier();
  for (int t = a.steps - 1; t >= 0; t--) {
    const long here = t * items + item;
    const float *q = all_q.next(shared.q), *k = all_k.next(shared.k);
    const float beta = all_beta.next();
    const bool opens = flags.next();
    all_errors.copy_next(shared.error);
    all_dy.copy_next(shared.dy);
    barrier();
    lanes dy[SLOTS], error[SLOTS], undo[SLOTS], step[SLOTS];
    UNROLL for (int s = 0; s < SLOTS; s++) {
      dy[s] = load(shared.dy + s * LANES);
      error[s] = load(shared.error + s * LANES);
      step[s] = error[s] * lanes(beta);
      undo[s] = lanes(0.0f) - step[s];
    }

    // each lane's part of the derivatives by q, k and beta, q's summed up before the others begin
    lanes dq[D], dk[D], d_beta = 0.0f;
    UNROLL for (int c = 0; c < D; c++) dq[c] = dk[c] = 0.0f;
    // y = W_t q
    weights.transposed(dy, dq);
    sum_over_lanes<D, SUMS>(dq, shared.sums);
    gradient.update(dy, q);
    // W_t = W_{t-1} + step (outer) k, so this makes W_{t-1}
    weights.update(undo, k);
    gradient.transposed(step, dk);
    // step = beta (v - W_{t-1} k)
    lanes d_step[SLOTS], dv[SLOTS], d_answer[SLOTS];
    gradient.multiply(k, d_step);
    UNROLL for (int s = 0; s < SLOTS; s++) {
      d_beta = fma(d_step[s], error[s], d_beta);
      dv[s] = d_step[s] * lanes(beta);
      d_answer[s] = lanes(0.0f) - dv[s];
    }
    weights.transposed(d_answer, dk);
    gradient.update(d_answer, k);
    write_rows(dv, a.dv + here * E);
    sum_over_lanes<D, SUMS>(dk, shared.sums + D);
    sum_over_lanes<1, SUMS>(&d_beta, shared.sums + 2 * D);
    barrier();
    const auto sum = [&](int i) { return to_element(total<SUMS>(shared.sums, i)); };
    share_out(D, [&](int i) {
      a.dq[here * D + i] = sum(i);
      a.dk[here * D + i] = sum(D + i);
    });
    share_out(1, [&](int) { a.d_beta[here] = sum(2 * D); });

    if (opens) gradient.zero();
    if (t && (opens || t % SEGMENT == 0)) rebuild(weights, t, item, a);
  }
  gradient.save(a.d_weights + matrix);
}

ENTRY(delta_forward, ForwardArguments, ForwardShared, forward)
ENTRY(delta_backward, BackwardArguments, BackwardShared, backward)
