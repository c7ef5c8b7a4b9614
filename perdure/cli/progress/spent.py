"""What calls took, used and cost, in words."""

from __future__ import annotations

from perdure.cli.progress.progress_table import duration


def cost_text(seconds: float, tokens: float, money: float) -> str:
    """Such as "12 s, 4,300 tokens, 0.0134"; parts that are zero are left out."""
    parts = [duration(seconds)] if seconds else []
    parts += [f"{tokens:,.0f} tokens"] if tokens else []
    return ", ".join([*parts, *([money_text(money)] if money else [])])


def money_text(money: float) -> str:
    """Two digits after the point, or as many as a small amount needs."""
    return f"{money:,.2f}" if money >= 1 else f"{money:.3g}"
