"""How much each quantized operator costs a model's outputs, and which are worth keeping in FP32."""
