// What makes attention's weights of its scores.
#pragma once

#include "rows.h"

namespace kerasft {

class Attention : public Dropping {
 public:
  explicit Attention(OpKernelConstruction* context) : Dropping(context) {
    OP_REQUIRES_OK(context, context->GetAttr("scale", &scale_));
  }

 protected:
  float scale_ = 1;
};

template <typename T>
class Softmax : public Attention {  // scores (batch, heads, to, from), bias (batch, 1 or to, from)
 public:
  using Attention::Attention;

 protected:
  void compute(OpKernelContext* context, const Rows& rows, const TensorShape& shape) override {
    const auto* scores = read<T>(context, 0);
    const float* bias = read<float>(context, 1);
    const Tensor& masks = context->input(1);
    const int64_t heads = shape.dim_size(1), to = shape.dim_size(2), own = masks.dim_size(1);
    OP_REQUIRES(context, masks.dim_size(0) == shape.dim_size(0) && masks.dim_size(2) == rows.width,
                tensorflow::errors::InvalidArgument("a mask of ", masks.shape().DebugString(), " for scores of ",
                                                    shape.DebugString()));
    auto *weights = made<T>(context, 0, shape), *kept = made<T>(context, 1, shape);
    if (!context->status().ok()) return;
    const Draws law = draws(context, 2);
    rows.run(context, 6, [&](int64_t, int64_t begin, int64_t end) {
      Draws draws = law;
      const int64_t width = rows.width;
      const uint8_t* drawn = draws.any() ? draws.of(begin * width, (end - begin) * width) : nullptr;
      const int64_t first = begin * width, count = (end - begin) * width;
      std::vector<float> shares(count);  // of the whole stretch: rows may be short
      bring(scores + first, shares.data(), count);
      for (int64_t row = begin; row < end; ++row) {
        const int64_t text = row / (heads * to), mask = text * own + (own == 1 ? 0 : row % to);
        softmax(&shares[(row - begin) * width], bias + mask * width, scale_, width);
      }
      put(shares.data(), weights + first, count);
      if (drawn) drop(shares.data(), drawn, draws, count);
      put(shares.data(), kept + first, count);
    });
  }
};

template <typename T>
class SoftmaxGrad : public Attention {
 public:
  using Attention::Attention;

 protected:
  void compute(OpKernelContext* context, const Rows& rows, const TensorShape& shape) override {
    const auto *upstream = read<T>(context, 0), *weights = read<T>(context, 1);
    auto* scores = made<T>(context, 0, shape);
    if (scores == nullptr) return;
    const Draws law = draws(context, 2);
    rows.run(context, 4, [&](int64_t, int64_t begin, int64_t end) {
      Draws draws = law;
      const int64_t width = rows.width;
      const uint8_t* drawn = draws.any() ? draws.of(begin * width, (end - begin) * width) : nullptr;
      const int64_t first = begin * width, count = (end - begin) * width;
      std::vector<float> gradient(count), shares(count);
      bring(upstream + first, gradient.data(), count);
      bring(weights + first, shares.data(), count);
      if (drawn) drop(gradient.data(), drawn, draws, count);
      for (int64_t at = 0; at < count; at += width) softmax_back(&gradient[at], &shares[at], scale_, width);
      put(gradient.data(), scores + first, count);
    });
  }
};

}  // namespace kerasft
