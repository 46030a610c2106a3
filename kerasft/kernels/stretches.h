// Rows of two operands whose product, the left one turned over, is summed over all of them; and how work is shared out.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include "loops.h"

namespace kerasft {

// (count, cycles of each, body): body(0) to body(count - 1), in any order.
using Parallel = std::function<void(int64_t, int64_t, const std::function<void(int64_t)>&)>;

struct Stretch {
  const Bfloat16 *left, *right;
  int64_t rows;
};

// The same rows in groups that have no more than `most` of them each.
inline std::vector<std::vector<Stretch>> in_groups(const std::vector<Stretch>& parts, int64_t left_width,
                                                   int64_t right_width, int64_t most) {
  std::vector<std::vector<Stretch>> groups;
  int64_t room = 0;
  for (Stretch part : parts) {
    while (part.rows > 0) {
      if (room == 0) groups.emplace_back(), room = most;
      const int64_t taken = std::min(room, part.rows);
      groups.back().push_back({part.left, part.right, taken});
      part = {part.left + taken * left_width, part.right + taken * right_width, part.rows - taken};
      room -= taken;
    }
  }
  return groups;
}

}  // namespace kerasft
