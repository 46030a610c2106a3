// Products of small float32 matrices that lie near, by AVX512: those of attention's heads.
#pragma once

#ifdef __AVX512F__
#define KERASFT_ATTENTION 1

#include <immintrin.h>

#include <algorithm>
#include <cstdint>

namespace kerasft {

inline int64_t in_lanes(int64_t count) { return (count + 15) / 16 * 16; }

struct Left {  // numbers[i * by_row + k * by_inner]
  const float* numbers;
  int64_t by_row, by_inner;
};

template <int ROWS, int VECTORS>
void small_tile(const Left& left, const float* right, int64_t across, int64_t inner, float* out, int64_t width) {
  __m512 sum[ROWS][VECTORS];
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < VECTORS; ++j) sum[i][j] = _mm512_setzero_ps();
  }
  for (int64_t k = 0; k < inner; ++k) {
    __m512 columns[VECTORS];
#pragma GCC unroll 4
    for (int j = 0; j < VECTORS; ++j) columns[j] = _mm512_loadu_ps(right + k * across + 16 * j);
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; ++i) {
      const __m512 own = _mm512_set1_ps(left.numbers[i * left.by_row + k * left.by_inner]);
#pragma GCC unroll 4
      for (int j = 0; j < VECTORS; ++j) sum[i][j] = _mm512_fmadd_ps(own, columns[j], sum[i][j]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < VECTORS; ++j) _mm512_storeu_ps(out + i * width + 16 * j, sum[i][j]);
  }
}

// As many rows at a time as registers hold sums of.
template <int ROWS, int VECTORS>
void small_rest(const Left& left, int64_t rows, const float* right, int64_t across, int64_t inner, float* out,
                int64_t width) {
  if (rows == ROWS) return small_tile<ROWS, VECTORS>(left, right, across, inner, out, width);
  if constexpr (ROWS > 1) small_rest<ROWS - 1, VECTORS>(left, rows, right, across, inner, out, width);
}

template <int VECTORS>
void small_rows(Left left, int64_t rows, const float* right, int64_t across, int64_t inner, float* out, int64_t width) {
  constexpr int kRowsAtOnce = VECTORS == 1 ? 14 : VECTORS == 2 ? 12 : VECTORS == 3 ? 8 : 6;
  for (; rows >= kRowsAtOnce; rows -= kRowsAtOnce) {
    small_tile<kRowsAtOnce, VECTORS>(left, right, across, inner, out, width);
    left.numbers += kRowsAtOnce * left.by_row;
    out += kRowsAtOnce * width;
  }
  small_rest<kRowsAtOnce - 1, VECTORS>(left, rows, right, across, inner, out, width);
}

// left (rows, inner) by right (inner, columns) -> out (rows, columns). Rows of `right` and `out` are `across` and `width`
// numbers apart, each at least the columns rounded up to 16, all of which are worked on.
inline void small_product(const Left& left, int64_t rows, const float* right, int64_t across, int64_t inner,
                          int64_t columns, float* out, int64_t width) {
  int64_t column = 0;
  const int64_t all = in_lanes(columns);
  for (; column + 64 <= all; column += 64) small_rows<4>(left, rows, right + column, across, inner, out + column, width);
  switch ((all - column) / 16) {
    case 3: return small_rows<3>(left, rows, right + column, across, inner, out + column, width);
    case 2: return small_rows<2>(left, rows, right + column, across, inner, out + column, width);
    case 1: return small_rows<1>(left, rows, right + column, across, inner, out + column, width);
  }
}

// Rows and columns of 16 by 16 numbers change places: by pairs, by fours, then by quarters of a register.
inline void turn(__m512* rows) {
  __m512 pairs[16], fours[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; i += 2) {
    pairs[i] = _mm512_unpacklo_ps(rows[i], rows[i + 1]);
    pairs[i + 1] = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
#pragma GCC unroll 2
    for (int j = 0; j < 2; ++j) {
      const __m512d first = _mm512_castps_pd(pairs[i + j]), second = _mm512_castps_pd(pairs[i + j + 2]);
      fours[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(first, second));
      fours[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(first, second));
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __m512 even = _mm512_shuffle_f32x4(fours[i], fours[i + 4], 0x88);
    const __m512 odd = _mm512_shuffle_f32x4(fours[i], fours[i + 4], 0xDD);
    const __m512 later_even = _mm512_shuffle_f32x4(fours[i + 8], fours[i + 12], 0x88);
    const __m512 later_odd = _mm512_shuffle_f32x4(fours[i + 8], fours[i + 12], 0xDD);
    rows[i] = _mm512_shuffle_f32x4(even, later_even, 0x88);
    rows[i + 4] = _mm512_shuffle_f32x4(odd, later_odd, 0x88);
    rows[i + 8] = _mm512_shuffle_f32x4(even, later_even, 0xDD);
    rows[i + 12] = _mm512_shuffle_f32x4(odd, later_odd, 0xDD);
  }
}

// from (rows, columns), whose rows are `across` apart, a multiple of 16 -> to (columns, rows), `width` apart: what stands
// behind a row's own columns there may be anything, what stands behind rows here becomes 0.
inline void turned(const float* from, int64_t rows, int64_t columns, int64_t across, float* to, int64_t width) {
  for (int64_t row = 0; row < rows; row += 16) {
    for (int64_t column = 0; column < columns; column += 16) {
      __m512 block[16];
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) {
        block[i] = row + i < rows ? _mm512_loadu_ps(from + (row + i) * across + column) : _mm512_setzero_ps();
      }
      turn(block);
      const int64_t taken = std::min<int64_t>(16, columns - column);
      for (int64_t i = 0; i < taken; ++i) _mm512_storeu_ps(to + (column + i) * width + row, block[i]);
    }
  }
}

}  // namespace kerasft

#endif
