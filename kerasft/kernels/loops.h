// The loops of the kernels over rows. A row is brought into float32 beside the core, worked on there and written once,
// so that memory is passed over once whatever its type. A compiler makes vector code of the loops.
#pragma once

#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "philox.h"

namespace kerasft {

// The bits of bfloat16: the upper half of a float32.
struct Bfloat16 {
  uint16_t bits;
};

inline void bring(const float* __restrict from, float* __restrict to, int64_t count) {
  std::memcpy(to, from, count * sizeof(float));
}

inline void bring(const Bfloat16* __restrict from, float* __restrict to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t bits = static_cast<uint32_t>(from[i].bits) << 16;
    std::memcpy(to + i, &bits, sizeof bits);
  }
}

inline void put(const float* __restrict from, float* __restrict to, int64_t count) {
  std::memcpy(to, from, count * sizeof(float));
}

// The nearest, of two as near the even one; what is no number stays none.
inline Bfloat16 to_bfloat16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const uint32_t rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
  return {static_cast<uint16_t>((bits & 0x7FFFFFFF) > 0x7F800000 ? 0x7FC0 : rounded)};
}

inline void put(const float* __restrict from, Bfloat16* __restrict to, int64_t count) {
  int64_t i = 0;
#ifdef __AVX512BF16__
  for (; i + 16 <= count; i += 16) {
    const __m256bh halves = _mm512_cvtneps_pbh(_mm512_loadu_ps(from + i));
    std::memcpy(to + i, &halves, sizeof halves);
  }
#endif
  for (; i < count; ++i) to[i] = to_bfloat16(from[i]);
}

// exp within 2 units in the last place for x in [-87, 88]; smaller x give that of -87, larger ones that of 88.
inline float exponential(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  const float whole = std::rint(x * 1.44269504f);
  const float rest = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;  // ln 2 in two parts
  float sum = 1.0f / 720;
  sum = sum * rest + 1.0f / 120;
  sum = sum * rest + 1.0f / 24;
  sum = sum * rest + 1.0f / 6;
  sum = sum * rest + 0.5f;
  sum = sum * rest + 1.0f;
  sum = sum * rest + 1.0f;
  const int32_t bits = (static_cast<int32_t>(whole) + 127) << 23;
  float power;
  std::memcpy(&power, &bits, sizeof power);
  return sum * power;
}

inline void drop(float* values, const uint8_t* draws, const Draws& law, int64_t count) {
  const uint8_t dropped = law.dropped();
  const float scale = law.scale();
  for (int64_t i = 0; i < count; ++i) values[i] = draws[i] >= dropped ? values[i] * scale : 0.0f;
}

struct Gelu {  // the exact one: x times the normal distribution's cumulative function
  // Abramowitz and Stegun 7.1.26: within 1.5e-7. Below zero nothing is subtracted, so small tails stay exact.
  static float both(float x, float* slope) {
    const float e = exponential(-0.5f * x * x), z = std::fabs(x) * 0.70710678f;
    const float t = 1.0f / (1.0f + 0.3275911f * z);
    const float tail =
        0.5f * e * t *
        (0.254829592f + t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
    const float below = x < 0 ? tail : 1.0f - tail;
    *slope = below + x * e * 0.39894228f;
    return x * below;
  }
};

struct GeluTanh {  // the approximate one, of GPT-2: 0.5 (1 + tanh u) = 1 / (1 + exp(-2 u))
  static float both(float x, float* slope) {
    const float low = x < -8.0f ? -8.0f : x;  // beyond, nothing changes, and powers stay finite
    const float near = low > 8.0f ? 8.0f : low;
    const float u = 1.59576912f * near * (1.0f + 0.044715f * near * near);
    const float e = exponential(-u), part = 1.0f / (1.0f + e), rest = e * part;
    *slope = part + near * part * rest * 1.59576912f * (1.0f + 3 * 0.044715f * near * near);
    return low * part;
  }
};

// y = f(x + bias); its slope there is what the way back multiplies by.
template <typename Kind>
void activate(const float* __restrict x, const float* __restrict bias, float* __restrict y, float* __restrict slope,
              int64_t width) {
  for (int64_t i = 0; i < width; ++i) y[i] = Kind::both(x[i] + bias[i], slope + i);
}

// In place; dx is added to `dbias`, a sum over rows.
inline void activate_back(float* __restrict gradient, const float* __restrict slope, float* __restrict dbias,
                          int64_t width) {
  for (int64_t i = 0; i < width; ++i) {
    gradient[i] *= slope[i];
    dbias[i] += gradient[i];
  }
}

// y = (h - mean) / deviation * gamma + beta. Gives the mean and what is multiplied by.
inline void normalize(const float* __restrict h, const float* __restrict gamma, const float* __restrict beta,
                      float epsilon, float* __restrict y, float* mean, float* inverse, int64_t width) {
  float sum = 0, squares = 0;
  for (int64_t i = 0; i < width; ++i) sum += h[i];
  const float middle = sum / width;
  for (int64_t i = 0; i < width; ++i) squares += (h[i] - middle) * (h[i] - middle);
  const float factor = 1.0f / std::sqrt(squares / width + epsilon);
  for (int64_t i = 0; i < width; ++i) y[i] = (h[i] - middle) * factor * gamma[i] + beta[i];
  *mean = middle;
  *inverse = factor;
}

inline void normalize_back(const float* __restrict dy, const float* __restrict h, const float* __restrict gamma,
                           float mean, float inverse, float* __restrict dh, float* __restrict dgamma,
                           float* __restrict dbeta, int64_t width) {
  float plain = 0, along = 0;
  for (int64_t i = 0; i < width; ++i) {
    const float unit = (h[i] - mean) * inverse, through = dy[i] * gamma[i];
    plain += through;
    along += through * unit;
    dgamma[i] += dy[i] * unit;
    dbeta[i] += dy[i];
  }
  plain /= width;
  along /= width;
  for (int64_t i = 0; i < width; ++i) {
    dh[i] = inverse * (dy[i] * gamma[i] - plain - (h[i] - mean) * inverse * along);
  }
}

// By whole numbers that have the order of the floats: a compiler makes vector code of their maximum. What is no number is
// the largest.
inline float largest(const float* values, int64_t count) {
  int32_t most = INT32_MIN;
  for (int64_t i = 0; i < count; ++i) {
    int32_t bits;
    std::memcpy(&bits, values + i, sizeof bits);
    const int32_t ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF);
    most = ordered > most ? ordered : most;
  }
  most ^= (most >> 31) & 0x7FFFFFFF;
  float found;
  std::memcpy(&found, &most, sizeof found);
  return found;
}

// In place: softmax(scores * scale + bias)
inline void softmax(float* __restrict p, const float* __restrict bias, float scale, int64_t width) {
  for (int64_t i = 0; i < width; ++i) p[i] = p[i] * scale + bias[i];
  const float most = largest(p, width);
  float sum = 0;
  for (int64_t i = 0; i < width; ++i) {
    p[i] = exponential(p[i] - most);
    sum += p[i];
  }
  const float share = 1.0f / sum;
  for (int64_t i = 0; i < width; ++i) p[i] *= share;
}

// In place: the gradient of p becomes that of the scores.
inline void softmax_back(float* __restrict gradient, const float* __restrict p, float scale, int64_t width) {
  float along = 0;
  for (int64_t i = 0; i < width; ++i) along += gradient[i] * p[i];
  for (int64_t i = 0; i < width; ++i) gradient[i] = scale * p[i] * (gradient[i] - along);
}

}  // namespace kerasft
