// Which instructions our matrix products in bfloat16 are made of: the fastest that this processor has.
//
// With AMX oneDNN has faster products than these; without any of the instructions there are none of ours. A header of
// products gives, for operands in bfloat16 and sums that end in float32:
//
//     kRows, kTurned       rows of the left operand at a time, as they are and turned over; they stay near
//     panels, packed_size  of a right operand (inner, columns): side by side, and its numbers of 16 bits once packed
//     pack_weight          a weight (inner, columns) for products by it, and for those by what it is turned over, which go back
//     multiply_rows        rows of x by a packed weight, plus a bias
//     inner_of, pack_right of stretches of rows (inner, columns) in bfloat16: how many they are, and a panel of them
//     multiply_turned      columns of x, turned over, by packed rows
#pragma once

#if defined(__AVX512BF16__) && defined(__AVX512VL__) && !defined(__AMX_BF16__)
#define KERASFT_PRODUCTS 1
#ifdef __AVX512FP16__
#include "half_products.h"
#else
#include "pair_products.h"
#endif
#endif
