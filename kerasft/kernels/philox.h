// Random bytes by their place: Philox4x32-7 (Salmon et al. 2011, doi:10.1145/2063384.2063405; seven rounds pass BigCrush).
//
// What is drawn for an element is a function of (seed, index), so that the way back draws it again, whatever part of a
// tensor it works on, and nothing is kept between.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

namespace kerasft {

constexpr int kRounds = 7;
constexpr int kLanes = 32;                  // counters that one block works through side by side
constexpr int64_t kBlock = kLanes * 4 * 4;  // bytes of them: four words of four bytes each

struct Seed {
  uint32_t first, second;
};

inline void philox_block(Seed seed, uint64_t block, uint8_t* out) {
  uint32_t a[kLanes], b[kLanes], c[kLanes] = {}, d[kLanes] = {};
  for (int i = 0; i < kLanes; ++i) {
    const uint64_t counter = block * kLanes + i;
    a[i] = static_cast<uint32_t>(counter);
    b[i] = static_cast<uint32_t>(counter >> 32);
  }
  uint32_t first = seed.first, second = seed.second;
  for (int round = 0; round < kRounds; ++round) {
    for (int i = 0; i < kLanes; ++i) {
      const uint64_t left = uint64_t{0xD2511F53} * a[i], right = uint64_t{0xCD9E8D57} * c[i];
      a[i] = static_cast<uint32_t>(right >> 32) ^ b[i] ^ first;
      b[i] = static_cast<uint32_t>(right);
      c[i] = static_cast<uint32_t>(left >> 32) ^ d[i] ^ second;
      d[i] = static_cast<uint32_t>(left);
    }
    first += 0x9E3779B9;
    second += 0xBB67AE85;
  }
  std::memcpy(out, a, sizeof a);
  std::memcpy(out + sizeof a, b, sizeof b);
  std::memcpy(out + 2 * sizeof a, c, sizeof c);
  std::memcpy(out + 3 * sizeof a, d, sizeof d);
}

// Decisions of dropout for a stretch of elements: one byte each.
class Draws {
 public:
  Draws(Seed seed, int dropped) : seed_(seed), dropped_(dropped) {}

  bool any() const { return dropped_ > 0; }
  float scale() const { return 256.0f / (256 - dropped_); }
  uint8_t dropped() const { return static_cast<uint8_t>(dropped_); }  // bytes below it are dropped

  // Bytes of elements [begin, begin + count); valid until the next call.
  const uint8_t* of(int64_t begin, int64_t count) {
    const int64_t first = begin / kBlock, last = (begin + count + kBlock - 1) / kBlock;
    bytes_.resize((last - first) * kBlock);
    for (int64_t block = first; block < last; ++block) philox_block(seed_, block, &bytes_[(block - first) * kBlock]);
    return &bytes_[begin - first * kBlock];
  }

 private:
  Seed seed_;
  int dropped_;
  std::vector<uint8_t> bytes_;
};

}  // namespace kerasft
