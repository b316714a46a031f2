"""What customers of the demo write: sentences by theme, joined by chance. Invented."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SAID: dict[str, tuple[str, ...]] = {
    "android_crash": (
        "Since the update my phone closes the app whenever I open a shared page.",
        "8.2 crashes on my Pixel as soon as I paste a picture.",
        "App crashes at start since yesterday, on the phone only. The laptop is fine.",
        "Crashed three times this morning on Android. I lost half a page of notes.",
        "The new Android version is unusable, please give me 8.1 back.",
        "Every second tap and it is gone. Galaxy S24, newest version.",
    ),
    "editor_good": (
        "The new editor is what I hoped for: tables finally behave.",
        "Love the slash menu in the new editor.",
        "Writing together feels natural in the new editor.",
        "Comments beside the text in the new editor save us a meeting a week.",
    ),
    "editor_slow": (
        "The new editor takes ages to open long documents.",
        "New editor looks nice but typing lags behind on my machine.",
        "Why does a page of text need three seconds to load now?",
        "Slow since you moved me to the new editor. Can I go back?",
        "The new editor loads so slowly that I open pages in advance.",
        "I like the look of the new editor, not the waiting.",
    ),
    "checkout": (
        "My card was refused three times although there is nothing wrong with it.",
        "Tried to pay for two days. Checkout only says that something went wrong.",
        "Wanted to upgrade our team, payment failed with every card we have.",
        "Your payment page does not take my bank any more.",
    ),
    "onboarding": (
        "The checklist at the start showed me what to do, done in ten minutes.",
        "The guided start is a real help, my team was in on the same day.",
        "Finally a first page that explains itself.",
        "Set up was easier than with anything we tried before.",
    ),
    "praise": (
        "Does what it should and stays out of the way.",
        "We run all our meeting notes in here now.",
        "Sharing with clients is so simple.",
        "Best search of all the tools I have used.",
        "Fast, calm, reliable. Do not change it.",
        "My whole class works in it.",
    ),
    "fine": (
        "Good, but I miss folders inside folders.",
        "Would be a ten with offline mode.",
        "Fine for text, weak for tables.",
        "Export to Word moves my pictures around.",
        "Notifications are a bit too many.",
        "Dark mode please, the real one.",
    ),
    "pain": (
        "Sync between my two laptops is always a step behind.",
        "Too expensive for what a small club needs.",
        "I cannot find things I wrote last month.",
        "Support took four days to answer.",
        "Permissions are impossible to understand.",
        "Logged out again and again on my tablet.",
    ),
}
CLOSING = (
    "",
    "",
    "",
    "",
    "Thanks.",
    "Please look into it.",
    "Just saying.",
    "Otherwise happy.",
    "Two years with you now.",
    "My colleagues say the same.",
    "That is all.",
    "Keep going.",
)
GOOD_CLOSING = ("", "", "", "Thank you!", "Keep going.", "Told all my friends.", "Two years with you now.")


def comment(rng: np.random.Generator, themes: Sequence[str], score: int) -> str:
    """One comment on the first theme (often) or the last (sometimes)."""
    theme = themes[0] if len(themes) == 1 or rng.random() < 0.8 else themes[-1]
    sentence = SAID[theme][int(rng.integers(len(SAID[theme])))]
    ending = GOOD_CLOSING if score >= 9 else CLOSING
    return f"{sentence} {ending[int(rng.integers(len(ending)))]}".strip()
