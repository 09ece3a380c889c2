// fo_pooling in one pass each way. Time runs outside and the units of a row inside, so that memory is read
// and written in order; backward computes the activations again, which takes less time than reading them
// would.

#include "../cpu.h"

namespace {

template <typename Real> INLINE Real sigmoid(Real x) { return 1 / (2 + expm1_of(-x)); }
template <typename Real> INLINE Real tanh_of(Real x) {
  const Real e = expm1_of(2 * x);
  return e / (e + 2);
}

template <typename Real> struct Inputs {
  const Real* gates;     // [T, B, 3 H]
  const uint8_t* mask;   // [T, B, H] or null
  const uint8_t* reset;  // [T, B] or null
  double factor;
  int64_t steps, streams, units;
};

// n units of one stream, from `unit` on, at step t; c_before and c may be the same.
template <typename Real, bool masked>
INLINE void step_forward(const Inputs<Real>& in, int64_t row, int64_t unit, int64_t n, const Real* c_before,
                         Real* c, Real* h) {
  const int64_t H = in.units;
  const Real* gates = in.gates + row * 3 * H + unit;
  const uint8_t* mask = masked ? in.mask + row * H + unit : nullptr;
  const Real factor = Real(in.factor), carried = in.reset && in.reset[row] ? 0 : 1;
#pragma GCC ivdep
  for (int64_t j = 0; j < n; ++j) {
    const Real z = tanh_of(gates[j]), o = sigmoid(gates[j + 2 * H]);
    Real f = factor * sigmoid(gates[j + H]);
    if (masked) f *= Real(mask[j]);
    const Real now = f * z + (1 - f) * (carried * c_before[j]);
    c[j] = now;
    h[j] = o * now;
  }
}

template <typename Real, bool masked>
INLINE void step_backward(const Inputs<Real>& in, int64_t row, int64_t unit, int64_t n,
                          const Real* __restrict c_before, const Real* __restrict c,
                          const Real* __restrict grad_h, Real* __restrict carry, Real* grad) {
  const int64_t H = in.units;
  const Real* gates = in.gates + row * 3 * H + unit;
  const uint8_t* mask = masked ? in.mask + row * H + unit : nullptr;
  const Real factor = Real(in.factor), carried = in.reset && in.reset[row] ? 0 : 1;
#pragma GCC ivdep
  for (int64_t j = 0; j < n; ++j) {
    const Real z = tanh_of(gates[j]), s = sigmoid(gates[j + H]), o = sigmoid(gates[j + 2 * H]);
    Real f = factor * s;
    if (masked) f *= Real(mask[j]);
    const Real before = carried * c_before[j], g = carry[j] + grad_h[j] * o;
    grad[j] = g * f * (1 - z * z);
    grad[j + H] = g * (z - before) * f * (1 - s);
    grad[j + 2 * H] = grad_h[j] * c[j] * o * (1 - o);
    carry[j] = carried * ((1 - f) * g);
  }
}

// The threads share the pairs of a stream and a block of units; each goes through time with its own.
constexpr int64_t BLOCK = 512;

template <typename Real> int64_t pairs(const Inputs<Real>& in) {
  return in.streams * ((in.units + BLOCK - 1) / BLOCK);
}

template <typename Real, bool masked>
INLINE void forward(const Inputs<Real>& in, Real* c, Real* kept, Real* h, int64_t first, int64_t last) {
  const int64_t B = in.streams, H = in.units, blocks = (H + BLOCK - 1) / BLOCK;
  for (int64_t t = 0; t < in.steps; ++t)
    for (int64_t pair = first; pair < last; ++pair) {
      const int64_t stream = pair / blocks, unit = pair % blocks * BLOCK, row = t * B + stream;
      const int64_t n = std::min(BLOCK, H - unit), at = row * H + unit;
      Real* state = c + stream * H + unit;
      step_forward<Real, masked>(in, row, unit, n, kept && t ? kept + at - B * H : state,
                                 kept ? kept + at : state, h + at);
    }
}

template <typename Real, bool masked>
INLINE void backward(const Inputs<Real>& in, const Real* c0, const Real* kept, const Real* grad_h, Real* carry,
                     Real* grad, int64_t first, int64_t last) {
  const int64_t B = in.streams, H = in.units, blocks = (H + BLOCK - 1) / BLOCK;
  for (int64_t t = in.steps - 1; t >= 0; --t)
    for (int64_t pair = first; pair < last; ++pair) {
      const int64_t stream = pair / blocks, unit = pair % blocks * BLOCK, row = t * B + stream;
      const int64_t n = std::min(BLOCK, H - unit), at = row * H + unit, own = stream * H + unit;
      const Real* before = t ? kept + at - B * H : c0 + own;
      step_backward<Real, masked>(in, row, unit, n, before, kept + at, grad_h + at, carry + own,
                                  grad + row * 3 * H + unit);
    }
}

}  // namespace

// kept: c of all steps, [T, B, H]; or null, then c is c0 on entry and c_T on return.
// carry: the gradient of c_T on entry, of c0 on return. grad may lie where the gates do.
#define FUNCTIONS_FOR(Real)                                                                                    \
  FOR_EACH_PROCESSOR                                                                                           \
  static void forward_##Real(const Inputs<Real>& in, Real* c, Real* kept, Real* h, int64_t from, int64_t to) { \
    in.mask ? forward<Real, true>(in, c, kept, h, from, to) : forward<Real, false>(in, c, kept, h, from, to);  \
  }                                                                                                            \
  FOR_EACH_PROCESSOR                                                                                           \
  static void backward_##Real(const Inputs<Real>& in, const Real* c0, const Real* kept, const Real* grad_h,    \
                              Real* carry, Real* grad, int64_t from, int64_t to) {                             \
    in.mask ? backward<Real, true>(in, c0, kept, grad_h, carry, grad, from, to)                                \
            : backward<Real, false>(in, c0, kept, grad_h, carry, grad, from, to);                              \
  }                                                                                                            \
  extern "C" void fo_pooling_forward_##Real(int threads, const Inputs<Real>* in, Real* c, Real* kept,          \
                                            Real* h) {                                                         \
    share(pairs(*in), threads, [=](int64_t from, int64_t to) { forward_##Real(*in, c, kept, h, from, to); });  \
  }                                                                                                            \
  extern "C" void fo_pooling_backward_##Real(int threads, const Inputs<Real>* in, const Real* c0,              \
                                             const Real* kept, const Real* grad_h, Real* carry, Real* grad) {  \
    share(pairs(*in), threads, [=](int64_t from, int64_t to) {                                                 \
      backward_##Real(*in, c0, kept, grad_h, carry, grad, from, to);                                           \
    });                                                                                                        \
  }

FUNCTIONS_FOR(float)
FUNCTIONS_FOR(double)
