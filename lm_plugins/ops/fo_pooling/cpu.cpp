// fo_pooling in one pass over memory in each direction; memory bandwidth limits its speed. The outer loop is
// over time and the inner one over the units of a row, so that memory is read and written in order. The backward
// pass computes f and o again, which is faster than reading them, and recovers z from c:
// f_t z_t = c_t - (1 - f_t) c_{t-1}. c may therefore overwrite z.

#include "../cpu.h"

namespace {

// The activations of a unit, with a single division, which takes as long as everything else. Gates are clamped
// to +-saturation. That changes no activation by more than 2e-12 in float32 and keeps the product of the
// denominators finite.
template <typename Real> struct Gates {
  static constexpr Real saturation = sizeof(Real) == 4 ? 27 : 200;

  INLINE Real denominator(Real x) { return 1 + Exponential<Real>::of(-clamp(x, saturation)).exp(); }

  INLINE void of(Real gate_z, Real gate_f, Real gate_o, Real& z, Real& s, Real& o) {
    const Real e = Exponential<Real>::of(clamp(2 * gate_z, saturation)).expm1(), under_z = e + 2;
    const Real under_s = denominator(gate_f), under_o = denominator(gate_o);
    const Real of_all = 1 / (under_z * under_s * under_o), of_both = of_all * under_z;
    z = e * (of_all * under_s * under_o), s = of_both * under_o, o = of_both * under_s;
  }
};

template <typename Real, typename Gate> struct Inputs {
  const Gate* gates;     // [T, B, 3 H], in float32, float64 or bfloat16
  const uint8_t* mask;   // [T, B, H] or null
  const uint8_t* reset;  // [T, B] or null
  double factor;
  int64_t steps, streams, units, stride;  // between the c of two streams: H, or 3 H in the memory of z
};

// n units of one stream, starting with `unit`, at one step; c_before and c may be the same.
template <typename Real, typename Gate, bool masked>
INLINE void step_forward(const Inputs<Real, Gate>& in, int64_t row, int64_t unit, int64_t n, const Real* c_before,
                         Real* c, Real* h) {
  const int64_t H = in.units;
  const Gate* gates = in.gates + row * 3 * H + unit;
  const uint8_t* mask = masked ? in.mask + row * H + unit : nullptr;
  const Real factor = Real(in.factor), carried = in.reset && in.reset[row] ? 0 : 1;
#pragma GCC ivdep
  for (int64_t j = 0; j < n; ++j) {
    Real z, s, o;
    Gates<Real>::of(widened(gates[j]), widened(gates[j + H]), widened(gates[j + 2 * H]), z, s, o);
    Real f = factor * s;
    if (masked) f *= Real(mask[j]);
    const Real now = f * z + (1 - f) * (carried * c_before[j]);
    c[j] = now;
    h[j] = o * now;
  }
}

template <typename Real, typename Gate, bool masked>
INLINE void step_backward(const Inputs<Real, Gate>& in, int64_t row, int64_t unit, int64_t n,
                          const Real* c_before, const Real* c, const Real* __restrict grad_h,
                          Real* __restrict carry, Gate* grad) {
  const int64_t H = in.units;
  const Gate* gates = in.gates + row * 3 * H + unit;
  const uint8_t* mask = masked ? in.mask + row * H + unit : nullptr;
  const Real factor = Real(in.factor), carried = in.reset && in.reset[row] ? 0 : 1;
  const Real per_factor = factor > 0 ? 1 / factor : 0;
#pragma GCC ivdep
  for (int64_t j = 0; j < n; ++j) {
    const Real under_s = Gates<Real>::denominator(widened(gates[j + H]));
    const Real under_o = Gates<Real>::denominator(widened(gates[j + 2 * H])), of_both = 1 / (under_s * under_o);
    const Real s = of_both * under_o, o = of_both * under_s;
    Real f = factor * s;
    if (masked) f *= Real(mask[j]);
    const Real before = carried * c_before[j], now = c[j], g = carry[j] + grad_h[j] * o;
    // Where f is too small for z to be recovered, it is too small for z to matter.
    const Real z = clamp(before + (now - before) * (under_s * per_factor), Real(1));
    store(grad[j], g * f * (1 - z * z));
    store(grad[j + H], g * (now - before) * (1 - s));
    store(grad[j + 2 * H], grad_h[j] * now * o * (1 - o));
    carry[j] = carried * ((1 - f) * g);
  }
}

// Threads divide the pairs of a stream and a block of units; each loops over time for its own pairs.
constexpr int64_t BLOCK = 512;

template <typename Real, typename Gate> int64_t pairs(const Inputs<Real, Gate>& in) {
  return in.streams * ((in.units + BLOCK - 1) / BLOCK);
}

template <typename Real, typename Gate, bool masked>
INLINE void forward(const Inputs<Real, Gate>& in, Real* c, Real* all_c, Real* h, int64_t first, int64_t last) {
  const int64_t B = in.streams, H = in.units, blocks = (H + BLOCK - 1) / BLOCK;
  for (int64_t t = 0; t < in.steps; ++t)
    for (int64_t pair = first; pair < last; ++pair) {
      const int64_t stream = pair / blocks, unit = pair % blocks * BLOCK, row = t * B + stream;
      const int64_t n = std::min(BLOCK, H - unit);
      Real *state = c + stream * H + unit, *now = all_c ? all_c + row * in.stride + unit : state;
      step_forward<Real, Gate, masked>(in, row, unit, n, all_c && t ? now - B * in.stride : state, now,
                                 h + row * H + unit);
    }
}

template <typename Real, typename Gate, bool masked>
INLINE void backward(const Inputs<Real, Gate>& in, const Real* c0, const Real* all_c, const Real* grad_h, Real* carry,
                     Gate* grad, int64_t first, int64_t last) {
  const int64_t B = in.streams, H = in.units, blocks = (H + BLOCK - 1) / BLOCK;
  for (int64_t t = in.steps - 1; t >= 0; --t)
    for (int64_t pair = first; pair < last; ++pair) {
      const int64_t stream = pair / blocks, unit = pair % blocks * BLOCK, row = t * B + stream;
      const int64_t n = std::min(BLOCK, H - unit), own = stream * H + unit;
      const Real* now = all_c + row * in.stride + unit;
      step_backward<Real, Gate, masked>(in, row, unit, n, t ? now - B * in.stride : c0 + own, now,
                                  grad_h + row * H + unit, carry + own, grad + row * 3 * H + unit);
    }
}

}  // namespace

// c: c0 on entry, and c_T on return if all_c is null. all_c: c of all steps, [T, B, H], which may overwrite z.
// carry: the gradient of c_T on entry, of c0 on return. grad: of the gates, [T, B, 3 H], which it may overwrite.
#define FUNCTIONS_FOR(suffix, Real, Gate)                                                                      \
  FOR_EACH_PROCESSOR                                                                                           \
  static void forward_##suffix(const Inputs<Real, Gate>& in, Real* c, Real* all_c, Real* h, int64_t from,      \
                               int64_t to) {                                                                   \
    in.mask ? forward<Real, Gate, true>(in, c, all_c, h, from, to)                                             \
            : forward<Real, Gate, false>(in, c, all_c, h, from, to);                                           \
  }                                                                                                            \
  FOR_EACH_PROCESSOR                                                                                           \
  static void backward_##suffix(const Inputs<Real, Gate>& in, const Real* c0, const Real* all_c,               \
                                const Real* grad_h, Real* carry, Gate* grad, int64_t from, int64_t to) {       \
    in.mask ? backward<Real, Gate, true>(in, c0, all_c, grad_h, carry, grad, from, to)                         \
            : backward<Real, Gate, false>(in, c0, all_c, grad_h, carry, grad, from, to);                       \
  }                                                                                                            \
  extern "C" void fo_pooling_forward_##suffix(                                                                 \
      int threads, const Gate* gates, const uint8_t* mask, const uint8_t* reset, double factor, int64_t steps, \
      int64_t streams, int64_t units, int64_t stride, Real* c, Real* all_c, Real* h) {                         \
    const Inputs<Real, Gate> in{gates, mask, reset, factor, steps, streams, units, stride};                    \
    parallel_for(pairs(in), threads,                                                                           \
                 [=](int64_t from, int64_t to) { forward_##suffix(in, c, all_c, h, from, to); });              \
  }                                                                                                            \
  extern "C" void fo_pooling_backward_##suffix(                                                                \
      int threads, const Gate* gates, const uint8_t* mask, const uint8_t* reset, double factor, int64_t steps, \
      int64_t streams, int64_t units, int64_t stride, const Real* c0, const Real* all_c, const Real* grad_h,   \
      Real* carry, Gate* grad) {                                                                               \
    const Inputs<Real, Gate> in{gates, mask, reset, factor, steps, streams, units, stride};                    \
    parallel_for(pairs(in), threads, [=](int64_t from, int64_t to) {                                           \
      backward_##suffix(in, c0, all_c, grad_h, carry, grad, from, to);                                         \
    });                                                                                                        \
  }

FUNCTIONS_FOR(float, float, float)
FUNCTIONS_FOR(double, double, double)
FUNCTIONS_FOR(of_bfloat16_float, float, bfloat16)
