// The kernels as operations of TensorFlow. kerasft/kernels/operations.py has their gradients and what they are for.

#include "activation.h"
#include "adam.h"
#include "attention.h"
#include "matrix.h"
#include "narrow_products.h"
#include "normalization.h"

namespace kerasft {

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

REGISTER_OP("KerasftAdam")
    .Input("weight: resource").Input("first: resource").Input("second: resource").Input("gradient: float")
    .Input("scale: float").Input("rate: float").Input("kept: float")
    .Attr("beta1: float").Attr("beta2: float").Attr("epsilon: float").SetIsStateful()
    .SetShapeFn([](InferenceContext* context) {
      tensorflow::shape_inference::ShapeHandle scalar;
      for (int i = 4; i < 7; ++i) TF_RETURN_IF_ERROR(context->WithRank(context->input(i), 0, &scalar));
      return absl::OkStatus();
    });

REGISTER_OP("KerasftFourBitProduct")
    .Input("x: float").Input("packed: uint8").Input("scales: half").Input("zeros: uint8").Output("y: float")
    .Attr("columns: int")
    .SetShapeFn([](InferenceContext* context) {
      int64_t columns;
      TF_RETURN_IF_ERROR(context->GetAttr("columns", &columns));
      context->set_output(0, context->Matrix(context->Dim(context->input(0), 0), columns));
      return absl::OkStatus();
    });
REGISTER_OP("KerasftEightBitLookup")
    .Input("x: float").Input("table: int8").Input("scales: half").Output("y: float")
    .SetShapeFn([](InferenceContext* context) {
      context->set_output(0, context->Matrix(context->Dim(context->input(0), 0), context->Dim(context->input(1), 0)));
      return absl::OkStatus();
    });

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

ON_CPU("KerasftAdam", Adam);
ON_CPU("KerasftDropout", Dropout);
ON_CPU("KerasftEightBitLookup", EightBitLookup);
ON_CPU("KerasftFourBitProduct", FourBitProduct);
ON_CPU("KerasftNorm", Norm);
ON_CPU("KerasftNormGrad", NormGrad);
OF_BOTH(float);
OF_BOTH(tensorflow::bfloat16);

#ifdef KERASFT_ATTENTION

REGISTER_OP("KerasftAttention")
    .Input("query: T").Input("key: T").Input("value: T").Input("bias: float").Input("seed: int32")
    .Output("y: T").Output("weights: T")
    .Attr("heads: int").Attr("scale: float").Attr("dropped: int").OF_TYPE
    .SetShapeFn([](InferenceContext* context) {
      context->set_output(0, context->input(0));
      context->set_output(1, context->UnknownShapeOfRank(4));
      return absl::OkStatus();
    });
REGISTER_OP("KerasftAttentionGrad")
    .Input("dy: T").Input("query: T").Input("key: T").Input("value: T").Input("weights: T").Input("seed: int32")
    .Output("dquery: T").Output("dkey: T").Output("dvalue: T")
    .Attr("heads: int").Attr("scale: float").Attr("dropped: int").OF_TYPE.SetShapeFn(like_first);

#define ATTENTION_OF(TYPE)                          \
  OF("KerasftAttention", TYPE, WholeAttention<TYPE>); \
  OF("KerasftAttentionGrad", TYPE, WholeAttentionGrad<TYPE>)

ATTENTION_OF(float);
ATTENTION_OF(tensorflow::bfloat16);

#endif

#ifdef KERASFT_PRODUCTS

REGISTER_OP("KerasftPack")
    .Input("weight: float").Output("forward: bfloat16").Output("back: bfloat16")
    .SetShapeFn([](InferenceContext* context) {
      for (int i = 0; i < 2; ++i) context->set_output(i, context->Vector(InferenceContext::kUnknownDim));
      return absl::OkStatus();
    });
REGISTER_OP("KerasftProduct")
    .Input("x: bfloat16").Input("packed: bfloat16").Input("bias: float").Output("y: bfloat16").Attr("columns: int")
    .SetShapeFn([](InferenceContext* context) {
      int64_t columns;
      TF_RETURN_IF_ERROR(context->GetAttr("columns", &columns));
      context->set_output(0, context->Matrix(context->Dim(context->input(0), 0), columns));
      return absl::OkStatus();
    });
REGISTER_OP("KerasftProductGrad")
    .Input("x: parts * bfloat16").Input("dy: parts * bfloat16").Output("dweight: float").Output("dbias: float")
    .Attr("parts: int >= 1")
    .SetShapeFn([](InferenceContext* context) {
      const auto columns = context->Dim(context->input(context->num_inputs() / 2), 1);
      context->set_output(0, context->Matrix(context->Dim(context->input(0), 1), columns));
      context->set_output(1, context->Vector(columns));
      return absl::OkStatus();
    });

REGISTER_KERNEL_BUILDER(Name("KerasftPack").Device(tensorflow::DEVICE_CPU), Pack);
REGISTER_KERNEL_BUILDER(Name("KerasftProduct").Device(tensorflow::DEVICE_CPU), Product);
REGISTER_KERNEL_BUILDER(Name("KerasftProductGrad").Device(tensorflow::DEVICE_CPU), ProductGrad);

#endif

}  // namespace kerasft
