// The element-wise work on a chunk of logits [n, V], each way in one pass over memory: a row stays in the
// cache while its bias is added and its largest logit, its exponentials and their sum are found.

#include "../cpu.h"

namespace {

constexpr int64_t BLOCK = 4096;  // sums of this many terms are added up in double precision

// scores: logits without their bias on entry, on return e^(x - m) with m the row's largest.
// total: sum of those; largest: m; at: the target's logit.
template <typename Real>
INLINE void exponentials(Real* scores, const Real* bias, const int64_t* target, int64_t V, Real* total,
                         Real* largest, Real* at, int64_t from, int64_t to) {
  for (int64_t row = from; row < to; ++row) {
    Real* x = scores + row * V;
    Real top = -INFINITY;
    if (bias) {
#pragma omp simd reduction(max : top)
      for (int64_t v = 0; v < V; ++v) {
        x[v] += bias[v];
        top = top > x[v] ? top : x[v];
      }
    } else {
#pragma omp simd reduction(max : top)
      for (int64_t v = 0; v < V; ++v) top = top > x[v] ? top : x[v];
    }
    if (target) at[row] = x[target[row]];
    double sum = 0;
    for (int64_t start = 0; start < V; start += BLOCK) {
      const int64_t end = std::min(V, start + BLOCK);
      Real part = 0;
#pragma omp simd reduction(+ : part)
      for (int64_t v = start; v < end; ++v) {
        const Real below = x[v] - top;
        x[v] = Exponential<Real>::of(below < -Format<Real>::limit ? -Format<Real>::limit : below).exp();
        part += x[v];
      }
      sum += part;
    }
    total[row] = Real(sum), largest[row] = top;
  }
}

// From the exponentials to the gradient of the logits: scale[n] e_nv, less `share` at the target; added up
// over the rows in `d_bias`. The threads share the columns.
template <typename Real>
INLINE void gradient(Real* scores, const int64_t* target, const Real* scale, const Real* share, int64_t rows,
                     int64_t V, Real* d_bias, int64_t from, int64_t to) {
  for (int64_t row = 0; row < rows; ++row) {
    Real* x = scores + row * V;
    const Real by = scale[row];
#pragma GCC ivdep
    for (int64_t v = from; v < to; ++v) x[v] *= by;
    if (target && from <= target[row] && target[row] < to) x[target[row]] -= share[row];
    if (d_bias)
#pragma GCC ivdep
      for (int64_t v = from; v < to; ++v) d_bias[v] += x[v];
  }
}

}  // namespace

#define FUNCTIONS_FOR(Real)                                                                                    \
  FOR_EACH_PROCESSOR                                                                                           \
  static void exponentials_##Real(Real* scores, const Real* bias, const int64_t* target, int64_t V, Real* total, \
                                  Real* largest, Real* at, int64_t from, int64_t to) {                         \
    exponentials(scores, bias, target, V, total, largest, at, from, to);                                       \
  }                                                                                                            \
  FOR_EACH_PROCESSOR                                                                                           \
  static void gradient_##Real(Real* scores, const int64_t* target, const Real* scale, const Real* share,       \
                              int64_t rows, int64_t V, Real* d_bias, int64_t from, int64_t to) {               \
    gradient(scores, target, scale, share, rows, V, d_bias, from, to);                                         \
  }                                                                                                            \
  extern "C" void cross_entropy_exponentials_##Real(int threads, Real* scores, const Real* bias,               \
                                                    const int64_t* target, int64_t rows, int64_t V,            \
                                                    Real* total, Real* largest, Real* at) {                    \
    share(rows, threads, [=](int64_t from, int64_t to) {                                                       \
      exponentials_##Real(scores, bias, target, V, total, largest, at, from, to);                              \
    });                                                                                                        \
  }                                                                                                            \
  extern "C" void cross_entropy_gradient_##Real(int threads, Real* scores, const int64_t* target,              \
                                                const Real* scale, const Real* of_target, int64_t rows,        \
                                                int64_t V, Real* d_bias) {                                     \
    share(V, threads, [=](int64_t from, int64_t to) {                                                          \
      gradient_##Real(scores, target, scale, of_target, rows, V, d_bias, from, to);                            \
    });                                                                                                        \
  }

FUNCTIONS_FOR(float)
FUNCTIONS_FOR(double)
