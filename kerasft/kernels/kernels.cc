// The kernels as operations of TensorFlow. kerasft/kernels/operations.py has their gradients and what they are for.

#include "rows.h"

namespace kerasft {

class Kernel : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) final {
    OP_REQUIRES(context, context->input(0).dims() > 0, tensorflow::errors::InvalidArgument("a scalar has no rows"));
    compute(context, Rows(context->input(0)), context->input(0).shape());
  }

 protected:
  virtual void compute(OpKernelContext* context, const Rows& rows, const TensorShape& shape) = 0;
};

class Dropping : public Kernel {
 public:
  explicit Dropping(OpKernelConstruction* context) : Kernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("dropped", &dropped_));
    OP_REQUIRES(context, 0 <= dropped_ && dropped_ < 256,
                tensorflow::errors::InvalidArgument("dropped: ", dropped_, " of 256 bytes"));
  }

 protected:
  Draws draws(OpKernelContext* context, int index) const {
    const auto seed = context->input(index).flat<int32_t>();
    return Draws(Seed{static_cast<uint32_t>(seed(0)), static_cast<uint32_t>(seed(1))}, dropped_);
  }

  int dropped_ = 0;
};

class Dropout : public Dropping {
 public:
  using Dropping::Dropping;

 protected:
  void compute(OpKernelContext* context, const Rows& rows, const TensorShape& shape) override {
    const float* x = read<float>(context, 0);
    float* y = made<float>(context, 0, shape);
    if (y == nullptr) return;
    const Draws law = draws(context, 1);
    rows.run(context, 2, [&](int64_t, int64_t begin, int64_t end) {
      Draws draws = law;
      const int64_t first = begin * rows.width, count = (end - begin) * rows.width;
      bring(x + first, y + first, count);
      drop(y + first, draws.of(first, count), draws, count);
    });
  }
};

class Norm : public Kernel {
 public:
  explicit Norm(OpKernelConstruction* context) : Kernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("epsilon", &epsilon_));
  }

 protected:
  void compute(OpKernelContext* context, const Rows& rows, const TensorShape& shape) override {
    const float *x = read<float>(context, 0), *gamma = read<float>(context, 1), *beta = read<float>(context, 2);
    float* y = made<float>(context, 0, shape);
    float *mean = made<float>(context, 1, without_last(shape)), *inverse = made<float>(context, 2, without_last(shape));
    if (!context->status().ok()) return;
    rows.run(context, 3, [&](int64_t, int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t at = row * rows.width;
        normalize(x + at, gamma, beta, epsilon_, y + at, mean + row, inverse + row, rows.width);
      }
    });
  }

 private:
  float epsilon_ = 0;
};

class NormGrad : public Kernel {
 public:
  using Kernel::Kernel;

 protected:
  void compute(OpKernelContext* context, const Rows& rows, const TensorShape& shape) override {
    const float *dy = read<float>(context, 0), *x = read<float>(context, 1), *gamma = read<float>(context, 2);
    const float *mean = read<float>(context, 3), *inverse = read<float>(context, 4);
    const TensorShape across({rows.width});
    float* dx = made<float>(context, 0, shape);
    float *dgamma = made<float>(context, 1, across), *dbeta = made<float>(context, 2, across);
    if (!context->status().ok()) return;
    RowSums sums(rows, 2);
    rows.run(context, 5, [&](int64_t stretch, int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t at = row * rows.width;
        normalize_back(dy + at, x + at, gamma, mean[row], inverse[row], dx + at, sums.of(stretch, 0),
                       sums.of(stretch, 1), rows.width);
      }
    });
    sums.total(0, dgamma);
    sums.total(1, dbeta);
  }
};

// y = norm(dropout(x + bias) + residual), in float32 and, as what a matrix product reads, in the type of x.
template <typename T>
class ResidualNorm : public Dropping {
 public:
  explicit ResidualNorm(OpKernelConstruction* context) : Dropping(context) {
    OP_REQUIRES_OK(context, context->GetAttr("epsilon", &epsilon_));
  }

 protected:
  void compute(OpKernelContext* context, const Rows& rows, const TensorShape& shape) override {
    const auto* x = read<T>(context, 0);
    const float *bias = read<float>(context, 1), *residual = read<float>(context, 2);
    const float *gamma = read<float>(context, 3), *beta = read<float>(context, 4);
    float *y = made<float>(context, 0, shape), *h = made<float>(context, 2, shape);
    auto* operand = twin(context, shape);
    float *mean = made<float>(context, 3, without_last(shape)), *inverse = made<float>(context, 4, without_last(shape));
    if (!context->status().ok()) return;
    const Draws law = draws(context, 5);
    rows.run(context, 4, [&](int64_t, int64_t begin, int64_t end) {
      Draws draws = law;
      const int64_t width = rows.width;
      const uint8_t* drawn = draws.any() ? draws.of(begin * width, (end - begin) * width) : nullptr;
      for (int64_t row = begin; row < end; ++row) {
        const int64_t at = row * width;
        bring(x + at, h + at, width);
        for (int64_t i = 0; i < width; ++i) h[at + i] += bias[i];
        if (drawn) drop(h + at, drawn + (row - begin) * width, draws, width);
        for (int64_t i = 0; i < width; ++i) h[at + i] += residual[at + i];
        normalize(h + at, gamma, beta, epsilon_, y + at, mean + row, inverse + row, width);
        if (operand) put(y + at, operand + at, width);
      }
    });
  }

 private:
  // Where y goes in another type; none for float32, whose second output is the first one.
  static typename Stored<T>::Type* twin(OpKernelContext* context, const TensorShape& shape) {
    if constexpr (!std::is_same_v<T, float>) return made<T>(context, 1, shape);
    if (context->status().ok()) context->set_output(1, *context->mutable_output(0));
    return nullptr;
  }

  float epsilon_ = 0;
};

template <typename T>
class ResidualNormGrad : public Dropping {
 public:
  using Dropping::Dropping;

 protected:
  void compute(OpKernelContext* context, const Rows& rows, const TensorShape& shape) override {
    const float* dy = read<float>(context, 0);
    const auto* doperand = read<T>(context, 1);
    const float *h = read<float>(context, 2), *gamma = read<float>(context, 3);
    const float *mean = read<float>(context, 4), *inverse = read<float>(context, 5);
    const TensorShape across({rows.width});
    auto* dx = made<T>(context, 0, shape);
    float *dbias = made<float>(context, 1, across), *dresidual = made<float>(context, 2, shape);
    float *dgamma = made<float>(context, 3, across), *dbeta = made<float>(context, 4, across);
    if (!context->status().ok()) return;
    const Draws law = draws(context, 6);
    RowSums sums(rows, 3);
    rows.run(context, 6, [&](int64_t stretch, int64_t begin, int64_t end) {
      Draws draws = law;
      const int64_t width = rows.width;
      const uint8_t* drawn = draws.any() ? draws.of(begin * width, (end - begin) * width) : nullptr;
      std::vector<float> scratch(width);
      float *upstream = scratch.data(), *biases = sums.of(stretch, 2);
      for (int64_t row = begin; row < end; ++row) {
        const int64_t at = row * width;
        bring(doperand + at, upstream, width);
        for (int64_t i = 0; i < width; ++i) upstream[i] += dy[at + i];
        normalize_back(upstream, h + at, gamma, mean[row], inverse[row], dresidual + at, sums.of(stretch, 0),
                       sums.of(stretch, 1), width);
        bring(dresidual + at, upstream, width);
        if (drawn) drop(upstream, drawn + (row - begin) * width, draws, width);
        for (int64_t i = 0; i < width; ++i) biases[i] += upstream[i];
        put(upstream, dx + at, width);
      }
    });
    sums.total(0, dgamma);
    sums.total(1, dbeta);
    sums.total(2, dbias);
  }
};

template <typename T, typename Kind>
class Activation : public Kernel {  // y = f(x + bias), and its slope
 public:
  using Kernel::Kernel;

 protected:
  void compute(OpKernelContext* context, const Rows& rows, const TensorShape& shape) override {
    const auto* x = read<T>(context, 0);
    const float* bias = read<float>(context, 1);
    auto *y = made<T>(context, 0, shape), *slope = made<T>(context, 1, shape);
    if (!context->status().ok()) return;
    rows.run(context, 4, [&](int64_t, int64_t begin, int64_t end) {
      const int64_t width = rows.width;
      std::vector<float> in(width), out(width), slopes(width);
      for (int64_t row = begin; row < end; ++row) {
        const int64_t at = row * width;
        bring(x + at, in.data(), width);
        activate<Kind>(in.data(), bias, out.data(), slopes.data(), width);
        put(out.data(), y + at, width);
        put(slopes.data(), slope + at, width);
      }
    });
  }
};

template <typename T>
class ActivationGrad : public Kernel {  // of x, and its sum over rows, which is the bias' own
 public:
  using Kernel::Kernel;

 protected:
  void compute(OpKernelContext* context, const Rows& rows, const TensorShape& shape) override {
    const auto *dy = read<T>(context, 0), *slope = read<T>(context, 1);
    auto* dx = made<T>(context, 0, shape);
    float* dbias = made<float>(context, 1, TensorShape({rows.width}));
    if (!context->status().ok()) return;
    RowSums sums(rows, 1);
    rows.run(context, 2, [&](int64_t stretch, int64_t begin, int64_t end) {
      const int64_t width = rows.width;
      std::vector<float> gradient(width), slopes(width);
      for (int64_t row = begin; row < end; ++row) {
        const int64_t at = row * width;
        bring(dy + at, gradient.data(), width);
        bring(slope + at, slopes.data(), width);
        activate_back(gradient.data(), slopes.data(), sums.of(stretch, 0), width);
        put(gradient.data(), dx + at, width);
      }
    });
    sums.total(0, dbias);
  }
};

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

absl::Status like_first(InferenceContext* context) {
  for (int i = 0; i < context->num_outputs(); ++i) context->set_output(i, context->input(0));
  return absl::OkStatus();
}

enum class Like { kFirst, kRows, kColumns };  // the first input; one number for each of its rows; for each column

std::function<absl::Status(InferenceContext*)> like(std::vector<Like> outputs) {
  return [=](InferenceContext* context) {
    tensorflow::shape_inference::ShapeHandle rows, columns;
    TF_RETURN_IF_ERROR(context->Subshape(context->input(0), 0, -1, &rows));
    TF_RETURN_IF_ERROR(context->Subshape(context->input(0), -1, &columns));
    for (size_t i = 0; i < outputs.size(); ++i) {
      const bool first = outputs[i] == Like::kFirst, by_row = outputs[i] == Like::kRows;
      context->set_output(i, first ? context->input(0) : by_row ? rows : columns);
    }
    return absl::OkStatus();
  };
}

#define OF_TYPE Attr("T: {float, bfloat16}")

REGISTER_OP("KerasftDropout")
    .Input("x: float").Input("seed: int32").Output("y: float")
    .Attr("dropped: int").SetShapeFn(like_first);
REGISTER_OP("KerasftNorm")
    .Input("x: float").Input("gamma: float").Input("beta: float")
    .Output("y: float").Output("mean: float").Output("inverse: float")
    .Attr("epsilon: float").SetShapeFn(like({Like::kFirst, Like::kRows, Like::kRows}));
REGISTER_OP("KerasftNormGrad")
    .Input("dy: float").Input("x: float").Input("gamma: float").Input("mean: float").Input("inverse: float")
    .Output("dx: float").Output("dgamma: float").Output("dbeta: float")
    .SetShapeFn(like({Like::kFirst, Like::kColumns, Like::kColumns}));
REGISTER_OP("KerasftResidualNorm")
    .Input("x: T").Input("bias: float").Input("residual: float").Input("gamma: float").Input("beta: float")
    .Input("seed: int32")
    .Output("y: float").Output("operand: T").Output("h: float").Output("mean: float").Output("inverse: float")
    .Attr("dropped: int").Attr("epsilon: float").OF_TYPE
    .SetShapeFn(like({Like::kFirst, Like::kFirst, Like::kFirst, Like::kRows, Like::kRows}));
REGISTER_OP("KerasftResidualNormGrad")
    .Input("dy: float").Input("doperand: T").Input("h: float").Input("gamma: float").Input("mean: float")
    .Input("inverse: float").Input("seed: int32")
    .Output("dx: T").Output("dbias: float").Output("dresidual: float").Output("dgamma: float").Output("dbeta: float")
    .Attr("dropped: int").OF_TYPE
    .SetShapeFn(like({Like::kFirst, Like::kColumns, Like::kFirst, Like::kColumns, Like::kColumns}));
REGISTER_OP("KerasftGelu")
    .Input("x: T").Input("bias: float").Output("y: T").Output("slope: T").OF_TYPE.SetShapeFn(like_first);
REGISTER_OP("KerasftGeluTanh")
    .Input("x: T").Input("bias: float").Output("y: T").Output("slope: T").OF_TYPE.SetShapeFn(like_first);
REGISTER_OP("KerasftActivationGrad")
    .Input("dy: T").Input("slope: T").Output("dx: T").Output("dbias: float").OF_TYPE
    .SetShapeFn(like({Like::kFirst, Like::kColumns}));
REGISTER_OP("KerasftSoftmax")
    .Input("scores: T").Input("bias: float").Input("seed: int32").Output("weights: T").Output("kept: T")
    .Attr("scale: float").Attr("dropped: int").OF_TYPE.SetShapeFn(like_first);
REGISTER_OP("KerasftSoftmaxGrad")
    .Input("upstream: T").Input("weights: T").Input("seed: int32").Output("scores: T")
    .Attr("scale: float").Attr("dropped: int").OF_TYPE.SetShapeFn(like_first);

#define ON_CPU(NAME, ...) REGISTER_KERNEL_BUILDER(Name(NAME).Device(tensorflow::DEVICE_CPU), __VA_ARGS__)
#define OF(NAME, TYPE, ...) \
  REGISTER_KERNEL_BUILDER(Name(NAME).Device(tensorflow::DEVICE_CPU).TypeConstraint<TYPE>("T"), __VA_ARGS__)
#define OF_BOTH(TYPE)                                      \
  OF("KerasftResidualNorm", TYPE, ResidualNorm<TYPE>);     \
  OF("KerasftResidualNormGrad", TYPE, ResidualNormGrad<TYPE>); \
  OF("KerasftGelu", TYPE, Activation<TYPE, Gelu>);         \
  OF("KerasftGeluTanh", TYPE, Activation<TYPE, GeluTanh>); \
  OF("KerasftActivationGrad", TYPE, ActivationGrad<TYPE>); \
  OF("KerasftSoftmax", TYPE, Softmax<TYPE>);               \
  OF("KerasftSoftmaxGrad", TYPE, SoftmaxGrad<TYPE>)

ON_CPU("KerasftDropout", Dropout);
ON_CPU("KerasftNorm", Norm);
ON_CPU("KerasftNormGrad", NormGrad);
OF_BOTH(float);
OF_BOTH(tensorflow::bfloat16);

}  // namespace kerasft
