// The self-referential weight matrix over a whole unroll, forward and backward.
// agents/ops/srwm/reference.py is the definition, README.md beside it derives the backward pass.
//
// Compiled for one head size D and one output size E. A group of lanes owns one (environment, head).
// Rows in here: q (D), k (D), y (E), b (4); in memory: y, q, k, b.
#define ROWS (2 * D + E + 4)
#include "lanes.h"

INLINE int outside(int i) { return i < 2 * D ? E + i : i < 2 * D + E ? i - 2 * D : i; }

#include "fast_weights.h"

constexpr int Y = 2 * D;      // the first row of y
constexpr int B = 2 * D + E;  // the first of the learning rates' rows

// What a step keeps for the backward pass, in the order of rows: the error W (phi(q) - phi(k)); then
// phi(q), phi(k), nothing for y, and the learning rates.
constexpr int KEPT = 2 * PADDED;

INLINE lanes by_block(int slot, const lanes& q, const lanes& k, const lanes& y, const lanes& b) {
  return select_below<D>(slot, q, select_below<Y>(slot, k, select_below<B>(slot, y, b)));
}

// Each row times the learning rate of its block.
INLINE void times_rate(const lanes* rows, const float* rate, lanes* result) {
  UNROLL for (int s = 0; s < SLOTS; s++) {
    result[s] = rows[s] * by_block(s, rate[1], rate[2], rate[0], rate[3]);
  }
}

struct ForwardArguments {
  const float* base;           // [H, R, D]
  const element* x;            // [T, B, H, D]
  const unsigned char* first;  // [T, B]
  const float* shift;          // [B, H, R, D]
  element* y;                  // [T, B, H, E]
  float* last_shift;           // [B, H, R, D]
  float* kept;                 // [T, B, H, KEPT], or null where there is no backward pass
  float* checkpoints;          // [(T - 1) / SEGMENT, B, H, R, D], or null
  int steps, batch, heads;
};

struct ForwardShared {
  alignas(64) float rows[PADDED];
  alignas(64) float values[PADDED];
  alignas(64) float x[D];
};

INLINE void forward(int item, ForwardShared& shared, const ForwardArguments& a) {
  const long items = static_cast<long>(a.batch) * a.heads;
  const float* base = a.base + static_cast<long>(item % a.heads) * ROWS * D;

  Matrix weights, shift;
  const float* before = a.shift + static_cast<long>(item) * ROWS * D;
  shift.load(before);
  weights.load(base);
  weights.add(before);

  Sequence<D, element> inputs(a.x + static_cast<long>(item) * D, items * D, a.steps);
  Scalars<unsigned char> flags(a.first + item / a.heads, a.batch, a.steps);
  const float* input = inputs.next(shared.x);
  barrier();
  for (int t = 0; t < a.steps; t++) {
    const long here = t * items + item;
    if (t && t % SEGMENT == 0) {
      if (a.checkpoints) shift.save(a.checkpoints + ((t / SEGMENT - 1) * items + item) * ROWS * D);
      weights = shift;  // what updates lose in the larger matrix must not add up
      weights.add(base);
    }
    if (flags.next()) {
      weights.load(base);
      shift.zero();
    }

    lanes out[SLOTS];
    weights.multiply(input, out);
    UNROLL for (int s = 0; s < SLOTS; s++) store(shared.rows + s * LANES, out[s]);
    barrier();
    if (t + 1 < a.steps) input = inputs.next(shared.x);
    share_out(E, [&](int i) { a.y[here * E + i] = to_element(shared.rows[Y + i]); });

    // softmax over q and over k, sigmoid over b: one exponential for each row
    const float q_max = uniform_max<D>(shared.rows), k_max = uniform_max<D>(shared.rows + D);
    lanes value[SLOTS];
    UNROLL for (int s = 0; s < SLOTS; s++) {
      const lanes power =
          exponential(by_block(s, out[s] - q_max, out[s] - k_max, 0.0f, lanes(0.0f) - out[s]));
      value[s] = select_below<B>(s, power, lanes(1.0f) / (power + 1.0f));
      store(shared.values + s * LANES, value[s]);
    }
    barrier();
    const float q_scale = 1.0f / uniform_sum<D>([&](int c) { return shared.values[c]; });
    const float k_scale = 1.0f / uniform_sum<D>([&](int c) { return shared.values[D + c]; });
    float key[D], difference[D];
    UNROLL for (int c = 0; c < D; c++) {
      key[c] = shared.values[D + c] * k_scale;
      difference[c] = shared.values[c] * q_scale - key[c];
    }

    lanes error[SLOTS], step[SLOTS];
    weights.multiply(difference, error);
    times_rate(error, shared.values + B, step);
    weights.update(step, key);
    // The shift is not weights - base: what is added to a matrix is often too small to come out of
    // that difference with any precision.
    shift.update(step, key);

    if (a.kept) {
      float* kept = a.kept + here * KEPT;
      UNROLL for (int s = 0; s < SLOTS; s++) {
        store(kept + s * LANES, error[s]);
        store(kept + PADDED + s * LANES, value[s] * by_block(s, q_scale, k_scale, 0.0f, 1.0f));
      }
    }
  }
  shift.save(a.last_shift + static_cast<long>(item) * ROWS * D);
}

struct BackwardArguments {
  const float* base;  // as in the forward pass
  const element* x;
  const unsigned char* first;
  const float* shift;
  const float* last_shift;
  const float* kept;
  const float* checkpoints;
  const element* dy;          // [T, B, H, E]
  const float* d_last_shift;  // [B, H, R, D], or null for zero
  float* d_base;              // [B, H, R, D], to be summed over B
  element* dx;                // [T, B, H, D]
  float* d_shift;             // [B, H, R, D]
  int steps, batch, heads;
};

struct BackwardShared {  // in pairs: one is read while the other is filled for the next step
  alignas(64) float kept[2][KEPT];
  alignas(64) float dy[2][PADDED];
  alignas(64) float sums[WARPS * PADDED];
  alignas(64) float dx[WARPS * D];
  alignas(64) float x[2][D];
};

// The matrix that step t found, if it opened no episode.
INLINE void rebuild(Matrix& weights, int t, int item, const BackwardArguments& a) {
  const long items = static_cast<long>(a.batch) * a.heads;
  const int start = load_known(weights, t, item, a.shift, a);
  weights.add(a.base + static_cast<long>(item % a.heads) * ROWS * D);
  for (int u = start; u < t; u++) {
    const float* kept = a.kept + (u * items + item) * KEPT;
    lanes error[SLOTS], step[SLOTS];
    UNROLL for (int s = 0; s < SLOTS; s++) error[s] = load(kept + s * LANES);
    times_rate(error, kept + PADDED + B, step);
    weights.update(step, kept + PADDED + D);
  }
}

INLINE void backward(int item, BackwardShared& shared, const BackwardArguments& a) {
  const long items = static_cast<long>(a.batch) * a.heads;
  const long matrix = static_cast<long>(item) * ROWS * D;

  Matrix weights, gradient;  // W_t, and the loss's derivative by it
  weights.load(a.base + static_cast<long>(item % a.heads) * ROWS * D);
  weights.add(a.last_shift + matrix);
  // What d_base already holds: the last shift is W - base, hence minus its derivative; then what
  // each episode that this unroll opened leaves.
  bool earlier = a.d_last_shift;
  if (earlier) {
    gradient.load(a.d_last_shift + matrix);
    gradient.negate();
    gradient.save(a.d_base + matrix);
    gradient.negate();
  } else {
    gradient.zero();
  }

  const long last = (a.steps - 1) * items + item;
  Sequence<D, element, 2> inputs(a.x + last * D, -items * D, a.steps);
  Sequence<KEPT, float, 2> all_kept(a.kept + last * KEPT, -items * KEPT, a.steps);
  Sequence<E, element, 2> all_dy(a.dy + last * E, -items * E, a.steps);
  Scalars<unsigned char, 2> flags(
      a.first + static_cast<long>(a.steps - 1) * a.batch + item / a.heads, -a.batch, a.steps);
  const int p = (a.steps - 1) & 1;
  const float *input = inputs.next(shared.x[p]), *kept = all_kept.next(shared.kept[p]);
  all_dy.copy_next(shared.dy[p] + Y);
  share_out(WARPS * PADDED, [&](int i) { shared.sums[i] = 0.0f; });
  barrier();
  for (int t = a.steps - 1; t >= 0; t--) {
    const float *next_input = input, *next_kept = kept;
    if (t) {
      const int q = (t - 1) & 1;
      next_input = inputs.next(shared.x[q]);
      next_kept = all_kept.next(shared.kept[q]);
      all_dy.copy_next(shared.dy[q] + Y);
    }
    const bool opens = flags.next();
    const float *values = kept + PADDED, *rates = values + B;
    lanes error[SLOTS], step[SLOTS];
    UNROLL for (int s = 0; s < SLOTS; s++) error[s] = load(kept + s * LANES);

    // W_t = W_{t-1} + step (outer) key, so this makes W_{t-1}
    times_rate(error, rates, step);
    lanes undo[SLOTS], d_step[SLOTS], d_error[SLOTS];
    UNROLL for (int s = 0; s < SLOTS; s++) undo[s] = lanes(0.0f) - step[s];
    weights.update(undo, values + D);
    gradient.multiply(values + D, d_step);
    times_rate(d_step, rates, d_error);

    // each lane's part of the derivatives by phi(q), phi(k) and the rates of y, q, k, b
    lanes part[2 * D + 4];
    UNROLL for (int c = 0; c < 2 * D + 4; c++) part[c] = 0.0f;
    weights.transposed(d_error, part);
    gradient.transposed(step, part + D);
    UNROLL for (int c = 0; c < D; c++) part[D + c] = part[D + c] - part[c];
    UNROLL for (int s = 0; s < SLOTS; s++) {
      const lanes d_rate = d_step[s] * error[s];
      part[Y + 0] = part[Y + 0] + by_block(s, 0.0f, 0.0f, d_rate, 0.0f);
      part[Y + 1] = part[Y + 1] + by_block(s, d_rate, 0.0f, 0.0f, 0.0f);
      part[Y + 2] = part[Y + 2] + by_block(s, 0.0f, d_rate, 0.0f, 0.0f);
      part[Y + 3] = part[Y + 3] + by_block(s, 0.0f, 0.0f, 0.0f, d_rate);
    }
    sum_over_lanes<2 * D, PADDED>(part, shared.sums);
    sum_over_lanes<4, PADDED>(part + Y, shared.sums + B);
    barrier();

    // through softmax and sigmoid to the rows of W x
    const auto sum = [&](int i) { return total<PADDED>(shared.sums, i); };
    const float q_mean = uniform_sum<D>([&](int c) { return values[c] * sum(c); });
    const float k_mean = uniform_sum<D>([&](int c) { return values[D + c] * sum(D + c); });
    lanes d_out[SLOTS];
    UNROLL for (int s = 0; s < SLOTS; s++) {
      lanes d_value = load(shared.sums + s * LANES);
      UNROLL for (int w = 1; w < WARPS; w++) {
        d_value = d_value + load(shared.sums + w * PADDED + s * LANES);
      }
      const lanes value = load(values + s * LANES);
      const lanes inner = value * (d_value - by_block(s, q_mean, k_mean, 0.0f, value * d_value));
      d_out[s] = by_block(s, inner, inner, load(shared.dy[t & 1] + s * LANES), inner);
    }

    // W_{t-1} was multiplied by phi(q) - phi(k) and by x
    float difference[D];
    UNROLL for (int c = 0; c < D; c++) difference[c] = values[c] - values[D + c];
    gradient.update(d_error, difference);
    gradient.update(d_out, input);
    lanes part_x[D];
    UNROLL for (int c = 0; c < D; c++) part_x[c] = 0.0f;
    weights.transposed(d_out, part_x);
    sum_over_lanes<D, D>(part_x, shared.dx);
    barrier();
    const long here = t * items + item;
    share_out(D, [&](int i) { a.dx[here * D + i] = to_element(total<D>(shared.dx, i)); });

    if (opens) {
      if (earlier) gradient.add(a.d_base + matrix);
      gradient.save(a.d_base + matrix);
      gradient.zero();
      earlier = true;
    }
    if (t && (opens || t % SEGMENT == 0)) rebuild(weights, t, item, a);
    input = next_input;
    kept = next_kept;
  }
  gradient.save(a.d_shift + matrix);
  if (earlier) gradient.add(a.d_base + matrix);
  gradient.save(a.d_base + matrix);
}

ENTRY(srwm_forward, ForwardArguments, ForwardShared, forward)
ENTRY(srwm_backward, BackwardArguments, BackwardShared, backward)
