// What the CPU kernels share. They are plain C functions on pointers, called through ctypes, so that they are
// built in seconds and work with any version of Python and torch.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

// Function multi-versioning: one clone for each instruction set, selected when the library is loaded.
#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__)
#if __GNUC__ >= 12
#define FOR_EACH_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EACH_PROCESSOR __attribute__((target_clones("avx512f", "avx2", "default")))
#endif
#else
#define FOR_EACH_PROCESSOR
#endif
#define INLINE static inline __attribute__((always_inline))

namespace {

template <typename Real> struct Format;
template <> struct Format<float> {
  using Bits = uint32_t;
  static constexpr int mantissa = 23, bias = 127, terms = 7;
  static constexpr float limit = 87, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
};
template <> struct Format<double> {
  using Bits = uint64_t;
  static constexpr int mantissa = 52, bias = 1023, terms = 13;
  static constexpr double limit = 700, ln2_high = 6.93145751953125e-1, ln2_low = 1.42860682030941723e-6;
};

template <typename Real> INLINE Real clamp(Real x, Real limit) {
  x = x < -limit ? -limit : x;
  return x > limit ? limit : x;
}

// e^x = 2^n e^r with x = n ln 2 + r, and Taylor's series for e^r - 1. |x| must be at most the format's limit.
// There is no branch and no call, so that the compiler can vectorise the loops that use it.
template <typename Real> struct Exponential {
  Real power, rest;  // 2^n, e^r - 1

  INLINE Exponential of(Real x) {
    using F = Format<Real>;
    using Bits = typename F::Bits;
    constexpr Real to_integer = Real(3) * (Bits(1) << (F::mantissa - 1));  // adding it rounds to an integer
    const Real shifted = x * Real(1.4426950408889634) + to_integer, n = shifted - to_integer;
    const Real r = (x - n * F::ln2_high) - n * F::ln2_low;
    Real coefficient = 1, series = 0;  // 1 / k!
#pragma GCC unroll 16
    for (int k = 2; k <= F::terms; ++k) coefficient /= k;
#pragma GCC unroll 16
    for (int k = F::terms; k > 0; --k) series = series * r + coefficient, coefficient *= k;
    Bits bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + Bits(F::bias)) << F::mantissa;
    Real power;
    std::memcpy(&power, &bits, sizeof power);
    return {power, series * r};
  }
  Real exp() const { return power + power * rest; }
  Real expm1() const { return power * rest + (power - 1); }
};

// The upper half of a float. The conversions do the same as torch's: to the nearest value, ties to even.
struct bfloat16 {
  uint16_t bits;
};

INLINE float widened(bfloat16 x) {
  const uint32_t bits = uint32_t(x.bits) << 16;
  float y;
  std::memcpy(&y, &bits, sizeof y);
  return y;
}
INLINE float widened(float x) { return x; }
INLINE double widened(double x) { return x; }

INLINE void store(bfloat16& y, float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  const uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
  y.bits = uint16_t(x != x ? 0x7FC0 : rounded);
}
INLINE void store(float& y, float x) { y = x; }
INLINE void store(double& y, double x) { y = x; }

// Calls work(from, to) in parallel, for one contiguous range of 0 ... items per thread.
template <typename Work> void parallel_for(int64_t items, int threads, Work work) {
#pragma omp parallel num_threads(int(std::max<int64_t>(1, std::min<int64_t>(threads, items))))
  {
    const int64_t number = omp_get_thread_num(), all = omp_get_num_threads();
    work(items * number / all, items * (number + 1) / all);
  }
}

}  // namespace
