// The element-wise work on a chunk of logits [n, V], in one pass over memory in each direction: a row stays in
// the cache while its bias is added and its largest logit, its exponentials and their sum are computed.

#include "../cpu.h"

namespace {

constexpr int64_t BLOCK = 4096;  // terms summed in single precision; the sums of blocks are added in double

// logits: without their bias on entry; on return e^(x - m), with m the largest logit of the row.
// total: the sum of the exponentials. largest: m. target_logit: that of the target, unless `target` is null.
template <typename Real>
INLINE void exponentials(Real* logits, const Real* bias, const int64_t* target, int64_t V, Real* total,
                         Real* largest, Real* target_logit, int64_t from, int64_t to) {
  for (int64_t row = from; row < to; ++row) {
    Real* x = logits + row * V;
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
    if (target) target_logit[row] = x[target[row]];
    double sum = 0;
    for (int64_t start = 0; start < V; start += BLOCK) {
      const int64_t end = std::min(V, start + BLOCK);
      Real block_sum = 0;
#pragma omp simd reduction(+ : block_sum)
      for (int64_t v = start; v < end; ++v) {
        const Real below = x[v] - top;
        x[v] = Exponential<Real>::of(below < -Format<Real>::limit ? -Format<Real>::limit : below).exp();
        block_sum += x[v];
      }
      sum += block_sum;
    }
    total[row] = Real(sum), largest[row] = top;
  }
}

// From the exponentials to the gradient of the logits: scale[n] e_nv, minus target_scale[n] at the target unless
// `target` is null. The sum over rows is added to `d_bias` unless that is null. Threads divide the columns.
template <typename Real>
INLINE void gradient(Real* logits, const int64_t* target, const Real* scale, const Real* target_scale,
                     int64_t rows, int64_t V, Real* d_bias, int64_t from, int64_t to) {
  for (int64_t row = 0; row < rows; ++row) {
    Real* x = logits + row * V;
    const Real by = scale[row];
#pragma GCC ivdep
    for (int64_t v = from; v < to; ++v) x[v] *= by;
    if (target && from <= target[row] && target[row] < to) x[target[row]] -= target_scale[row];
    if (d_bias)
#pragma GCC ivdep
      for (int64_t v = from; v < to; ++v) d_bias[v] += x[v];
  }
}

}  // namespace

#define FUNCTIONS_FOR(Real)                                                                                    \
  FOR_EACH_PROCESSOR                                                                                           \
  static void exponentials_##Real(Real* logits, const Real* bias, const int64_t* target, int64_t V,            \
                                  Real* total, Real* largest, Real* target_logit, int64_t from, int64_t to) {  \
    exponentials(logits, bias, target, V, total, largest, target_logit, from, to);                             \
  }                                                                                                            \
  FOR_EACH_PROCESSOR                                                                                           \
  static void gradient_##Real(Real* logits, const int64_t* target, const Real* scale,                          \
                              const Real* target_scale, int64_t rows, int64_t V, Real* d_bias, int64_t from,   \
                              int64_t to) {                                                                    \
    gradient(logits, target, scale, target_scale, rows, V, d_bias, from, to);                                  \
  }                                                                                                            \
  extern "C" void softmax_exponentials_##Real(int threads, Real* logits, const Real* bias,                     \
                                              const int64_t* target, int64_t rows, int64_t V, Real* total,     \
                                              Real* largest, Real* target_logit) {                             \
    parallel_for(rows, threads, [=](int64_t from, int64_t to) {                                                \
      exponentials_##Real(logits, bias, target, V, total, largest, target_logit, from, to);                    \
    });                                                                                                        \
  }                                                                                                            \
  extern "C" void softmax_gradient_##Real(int threads, Real* logits, const int64_t* target, const Real* scale, \
                                          const Real* target_scale, int64_t rows, int64_t V, Real* d_bias) {   \
    parallel_for(V, threads, [=](int64_t from, int64_t to) {                                                   \
      gradient_##Real(logits, target, scale, target_scale, rows, V, d_bias, from, to);                         \
    });                                                                                                        \
  }

FUNCTIONS_FOR(float)
FUNCTIONS_FOR(double)
