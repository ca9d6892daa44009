"""Names in the checkpoints of transformers' LLaVA classes."""


def published(name: str) -> str:
    """Published name of a parameter in memory."""
    for in_memory, prefix in (
        ("model.vision_tower.vision_model.", "vision_tower.vision_model."),
        ("model.vision_tower.", "vision_tower.vision_model."),
        ("model.multi_modal_projector.", "multi_modal_projector."),
        ("model.image_newline", "image_newline"),
        ("model.language_model.", "language_model.model."),
        ("lm_head.", "language_model.lm_head."),
    ):
        if name.startswith(in_memory):
            return prefix + name[len(in_memory) :]
    raise ValueError(name)


def parameters(model):
    return ((published(name), parameter) for name, parameter in model.named_parameters())
