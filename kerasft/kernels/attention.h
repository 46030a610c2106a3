// What makes attention's weights of its scores, and all that stands between its projections.
#pragma once

#include "rows.h"
#include "small_products.h"

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

#ifdef KERASFT_ATTENTION

// Of a text and a head: where its rows stand in queries, keys and values (batch * length, heads * width), and room for
// them in float32, each row in whole lanes.
struct Head {
  int64_t text, head, length, width, heads;

  int64_t lanes() const { return in_lanes(width); }
  int64_t across() const { return in_lanes(length); }
  int64_t weights() const { return (text * heads + head) * length * length; }

  template <typename T>
  void take(const T* from, float* to) const {
    for (int64_t i = 0; i < length; ++i, to += lanes()) {
      bring(from + place(i), to, width);
      std::fill(to + width, to + lanes(), 0.0f);
    }
  }

  template <typename T>
  void give(const float* from, T* to) const {
    for (int64_t i = 0; i < length; ++i, from += lanes()) put(from, to + place(i), width);
  }

 private:
  int64_t place(int64_t i) const { return ((text * length + i) * heads + head) * width; }
};

class HeadByHead : public Attention {
 public:
  explicit HeadByHead(OpKernelConstruction* context) : Attention(context) {
    OP_REQUIRES_OK(context, context->GetAttr("heads", &heads_));
  }

 protected:
  // body(head, room for three matrices of scores, and for four of vectors, in float32)
  void run(OpKernelContext* context, int64_t texts, int64_t length, int64_t width,
           const std::function<void(const Head&, float*, float*)>& body) const {
    auto* threads = context->device()->tensorflow_cpu_worker_threads()->workers;
    const int64_t heads = heads_;
    threads->ParallelFor(texts * heads, length * length * width / 2, [&](int64_t begin, int64_t end) {
      const Head any{0, 0, length, width, heads};
      const int64_t lanes = any.lanes(), across = any.across();
      const int64_t square = across * across, row = across * lanes;
      const std::unique_ptr<float[]> room(new float[3 * square + 4 * row]);
      for (int64_t i = begin; i < end; ++i) body({i / heads, i % heads, length, width, heads}, &room[0], &room[3 * square]);
    });
  }

  int64_t heads_ = 1;
};

// query, key, value (batch * length, heads * width), bias (batch, 1 or length, length)
template <typename T>
class WholeAttention : public HeadByHead {
 public:
  using HeadByHead::HeadByHead;

 protected:
  void compute(OpKernelContext* context, const Rows& rows, const TensorShape& shape) override {
    const Tensor& masks = context->input(3);
    OP_REQUIRES(context, masks.dims() == 3 && shape.dims() == 2 && shape.dim_size(1) % heads_ == 0 &&
                             masks.dim_size(0) * masks.dim_size(2) == shape.dim_size(0) &&
                             (masks.dim_size(1) == 1 || masks.dim_size(1) == masks.dim_size(2)) &&
                             context->input(1).shape() == shape && context->input(2).shape() == shape,
                tensorflow::errors::InvalidArgument("a mask of ", masks.shape().DebugString(), " for queries of ",
                                                    shape.DebugString()));
    const int64_t texts = masks.dim_size(0), own = masks.dim_size(1), length = masks.dim_size(2);
    const auto *query = read<T>(context, 0), *key = read<T>(context, 1), *value = read<T>(context, 2);
    const float* bias = read<float>(context, 3);
    auto *y = made<T>(context, 0, shape);
    auto *weights = made<T>(context, 1, TensorShape({texts, heads_, length, length}));
    if (!context->status().ok()) return;
    const Draws law = draws(context, 4);
    run(context, texts, length, rows.width / heads_, [&](const Head& head, float* scores, float* room) {
      const int64_t lanes = head.lanes(), across = head.across(), row = across * lanes;
      float *own_rows = room, *turned_rows = room + row, *found = room + 2 * row;
      head.take(key, own_rows);
      turned(own_rows, length, head.width, lanes, turned_rows, across);
      head.take(query, own_rows);
      small_product({own_rows, lanes, 1}, length, turned_rows, across, head.width, length, scores, across);
      Draws draws = law;
      const uint8_t* drawn = draws.any() ? draws.of(head.weights(), length * length) : nullptr;
      for (int64_t i = 0; i < length; ++i) {
        float* shares = scores + i * across;
        softmax(shares, bias + (head.text * own + (own == 1 ? 0 : i)) * length, scale_, length);
        put(shares, weights + head.weights() + i * length, length);
        if (drawn) drop(shares, drawn + i * length, draws, length);
      }
      head.take(value, own_rows);
      small_product({scores, across, 1}, length, own_rows, lanes, length, head.width, found, lanes);
      head.give(found, y);
    });
  }
};

template <typename T>
class WholeAttentionGrad : public HeadByHead {
 public:
  using HeadByHead::HeadByHead;

 protected:
  void compute(OpKernelContext* context, const Rows& rows, const TensorShape& shape) override {
    const int64_t texts = context->input(4).dim_size(0), length = context->input(4).dim_size(2);
    const auto *dy = read<T>(context, 0), *query = read<T>(context, 1), *key = read<T>(context, 2);
    const auto *value = read<T>(context, 3), *weights = read<T>(context, 4);
    auto *dquery = made<T>(context, 0, shape), *dkey = made<T>(context, 1, shape), *dvalue = made<T>(context, 2, shape);
    if (!context->status().ok()) return;
    const Draws law = draws(context, 5);
    run(context, texts, length, rows.width / heads_, [&](const Head& head, float* scores, float* room) {
      const int64_t lanes = head.lanes(), across = head.across(), square = across * across, row = across * lanes;
      float *shares = scores, *kept = scores + square, *gradient = scores + 2 * square;
      float *upstream = room, *own_rows = room + row, *turned_rows = room + 2 * row, *found = room + 3 * row;
      head.take(dy, upstream);
      head.take(value, own_rows);
      turned(own_rows, length, head.width, lanes, turned_rows, across);
      small_product({upstream, lanes, 1}, length, turned_rows, across, head.width, length, gradient, across);
      Draws draws = law;
      const uint8_t* drawn = draws.any() ? draws.of(head.weights(), length * length) : nullptr;
      for (int64_t i = 0; i < length; ++i) {
        float *share = shares + i * across, *left = kept + i * across, *back = gradient + i * across;
        bring(weights + head.weights() + i * length, share, length);
        std::copy(share, share + length, left);
        if (drawn) {
          drop(left, drawn + i * length, draws, length);
          drop(back, drawn + i * length, draws, length);
        }
        softmax_back(back, share, scale_, length);
      }
      small_product({kept, 1, across}, length, upstream, lanes, length, head.width, found, lanes);
      head.give(found, dvalue);
      head.take(key, own_rows);
      small_product({gradient, across, 1}, length, own_rows, lanes, length, head.width, found, lanes);
      head.give(found, dquery);
      head.take(query, own_rows);
      small_product({gradient, 1, across}, length, own_rows, lanes, length, head.width, found, lanes);
      head.give(found, dkey);
    });
  }
};

#endif

}  // namespace kerasft
