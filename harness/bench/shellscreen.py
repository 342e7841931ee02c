# SPDX-License-Identifier: Apache-2.0
"""The shell on a terminal: live table above, what was said in the middle, the prompt below.

One thread. The rig's ticks are a task of the event loop that also reads the keyboard and draws: each turn of it waits
for the tick, plays it, and lets keys and drawing have what is left of the tick. Drawing comes right after a tick.
"""

from __future__ import annotations

import asyncio
import gc
import signal
from collections import deque
from collections.abc import Collection, Iterable
from typing import Any

from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import has_completions
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import (
    BufferControl,
    ConditionalContainer,
    Float,
    FloatContainer,
    FormattedTextControl,
    HSplit,
    Layout,
    Window,
)
from prompt_toolkit.layout.processors import BeforeInput
from prompt_toolkit.styles import Style

from harness.bench.pacer import Lateness
from harness.bench.shell import Answer, Shell
from harness.bench.shellcomplete import offers
from harness.bench.shellview import Fragments, table
from harness.faults.check import Bounds
from harness.rig.compose import bounds_of

REDRAW_S = 0.2  # at most 5 Hz
_ANSWERS = 500
_CHEAP_TICKS = 20_000  # whose lateness is told in a fraction of a millisecond
_MENU_ROWS = 10
_MENU_WIDTH = 70
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # prompt_toolkit looks after the first
_STYLE = Style.from_dict(
    {
        "dim": "ansibrightblack",
        "bold": "bold",
        "good": "ansigreen",
        "warn": "ansiyellow",
        "bad": "ansired bold",
        "line": "ansibrightblack",
        "event": "ansicyan",
        "prompt": "bold",
        "menu": "bg:ansibrightblack ansiwhite",
        "menu.chosen": "reverse",
        "menu.meaning": "bg:ansibrightblack ansiwhite",
    }
)


class Screen:
    """Draws a shell and feeds it. `run` returns when it is done; the way out of the rig is the caller's."""

    def __init__(self) -> None:
        self.answers: deque[Answer] = deque(maxlen=_ANSWERS)
        self._shell: Shell | None = None
        self._drawn_s = 0.0
        self._lines: list[Fragments] = []
        self._pace = Lateness()
        self._paced_s = 0.0

    def say(self, answer: Answer) -> None:
        """One more line in the middle."""
        self.answers.append(answer)

    def run(self, shell: Shell) -> None:
        """Until `quit`, Ctrl-D, or Ctrl-C while nothing is waited for. Raises what `LiveRig.step` raises."""
        self._shell = shell
        handlers = {number: signal.getsignal(number) for number in _SIGNALS}
        gc.freeze()  # else the collector looks through all of the rig's files again and again: 50 ms late ticks
        try:
            asyncio.run(self._run(shell))
        finally:
            gc.unfreeze()
            for number, handler in handlers.items():
                signal.signal(number, handler)

    async def _run(self, shell: Shell) -> None:
        application = self._application(shell)
        loop = asyncio.get_running_loop()
        for number in _SIGNALS[1:]:  # a closed window must not leave the bench armed
            loop.add_signal_handler(number, _finish, shell)
        drawn = asyncio.Event()  # the first drawing takes longer than a tick: time begins after it
        application.after_render.add_handler(lambda _: drawn.set())
        ticking = loop.create_task(self._tick(shell, application, drawn))
        try:
            await application.run_async(handle_sigint=True)
        finally:
            shell.done = True
            drawn.set()
            for number in _SIGNALS[1:]:
                loop.remove_signal_handler(number)
        await ticking  # what ended it is raised here

    async def _tick(self, shell: Shell, application: Application[None], drawn: asyncio.Event) -> None:
        try:
            await drawn.wait()
            while not shell.done:
                shell.live.step()
                shell.tick()
                if shell.live.now_s - self._drawn_s >= REDRAW_S:
                    self._drawn_s = shell.live.now_s
                    width = application.output.get_size().columns
                    self._lines = table(shell.live, shell.seen, self._pace_of(shell), width)
                    application.invalidate()
                await asyncio.sleep(0)
        finally:
            shell.done = True
            if application.is_running:
                application.exit()

    def _pace_of(self, shell: Shell) -> Lateness:
        """How late ticks came: the longer the run, the longer it takes to tell, and the less often it is asked."""
        if shell.live.now_s - self._paced_s >= max(1.0, self._pace.ticks / _CHEAP_TICKS):
            self._pace, self._paced_s = shell.live.lateness(), shell.live.now_s
        return self._pace

    def _application(self, shell: Shell) -> Application[None]:
        prompt = Buffer(
            completer=_Completer(shell, bounds_of(shell.live.rig)),
            complete_while_typing=True,
            history=InMemoryHistory(),
            multiline=False,
            accept_handler=lambda buffer: self._accept(shell, buffer),
        )
        bar = Window(height=1, char="─", style="class:line")
        live = Window(FormattedTextControl(self._table), height=lambda: len(self._lines))
        said = Window(FormattedTextControl(self._said))
        entry = Window(BufferControl(prompt, input_processors=[BeforeInput(self._label)]), height=1)
        body = HSplit([live, bar, said, bar, entry])
        offered = Window(FormattedTextControl(lambda: _menu(prompt)), style="class:menu", dont_extend_width=True)
        menu = Float(ConditionalContainer(offered, has_completions), xcursor=True, ycursor=True)
        return Application(
            layout=Layout(FloatContainer(body, [menu]), focused_element=entry),
            key_bindings=_keys(shell),
            style=_STYLE,
            full_screen=True,
            max_render_postpone_time=0.0,
            erase_when_done=True,
        )

    def _accept(self, shell: Shell, buffer: Buffer) -> bool:
        text = buffer.text.strip()
        if text:
            self.say(Answer(shell.live.now_s, f"> {text}"))
            shell.submit(text)
        return False  # the line is taken: an empty one follows

    def _table(self) -> StyleAndTextTuples:
        return _joined(self._lines)

    def _said(self) -> StyleAndTextTuples:
        """The newest lines that fit; the window is as high as the terminal leaves it."""
        shell = self._shell
        assert shell is not None
        size = shell_size()
        room = max(1, size[1] - len(self._lines) - 3)  # two bars and the prompt
        lines = [_answer(answer) for answer in list(self.answers)[-room:]]
        return _joined(lines)

    def _label(self) -> StyleAndTextTuples:
        shell = self._shell
        waits = "" if shell is None else shell.waiting
        return [("class:warn", f"waiting for {waits} "), ("class:prompt", "> ")] if waits else [("class:prompt", "> ")]


class _Completer(Completer):
    """What Tab offers, from `shellcomplete`."""

    def __init__(self, shell: Shell, bounds: Bounds) -> None:
        self._shell, self._bounds = shell, bounds

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Words that may stand at the cursor."""
        if not document.text and not complete_event.completion_requested:
            return  # an empty prompt offers nothing by itself
        labels: Collection[str] = dict.fromkeys(fault.label for fault in self._shell.live.faults())
        begun, found = offers(document.text_before_cursor, self._bounds, self._shell.flags, labels)
        for word, meaning in found:
            yield Completion(word, start_position=-len(begun), display_meta=meaning)


def shell_size() -> tuple[int, int]:
    """Columns and rows of the terminal now."""
    from prompt_toolkit.application import get_app  # noqa: PLC0415 - the application that is drawing

    size = get_app().output.get_size()
    return size.columns, size.rows


def _keys(shell: Shell) -> KeyBindings:
    keys = KeyBindings()

    @keys.add("c-c")
    @keys.add("<sigint>")
    def _(event: KeyPressEvent) -> None:
        if event.app.current_buffer.text:
            event.app.current_buffer.reset()
        elif not shell.give_up_waiting():
            shell.done = True

    @keys.add("c-d")
    def _(event: KeyPressEvent) -> None:
        if not event.app.current_buffer.text:
            shell.done = True

    @keys.add("tab", filter=~has_completions)
    def _(event: KeyPressEvent) -> None:
        event.app.current_buffer.start_completion(insert_common_part=True)

    @keys.add("c-l")
    def _(event: KeyPressEvent) -> None:
        event.app.renderer.clear()

    return keys


def _finish(shell: Shell) -> None:
    shell.done = True


def _menu(prompt: Buffer) -> StyleAndTextTuples:
    """The rows of the offer around the chosen one; the menu of the library measures all of them at every redraw."""
    state = prompt.complete_state
    if state is None:
        return []
    chosen = state.complete_index
    first = max(0, min((chosen or 0) - _MENU_ROWS // 2, len(state.completions) - _MENU_ROWS))
    rows = state.completions[first : first + _MENU_ROWS]
    width = max((len(row.text) for row in rows), default=0)
    lines: list[Fragments] = []
    for place, row in enumerate(rows, start=first):
        style = "class:menu.chosen" if place == chosen else "class:menu"
        lines.append(
            [(style, f" {row.text:<{width}} "), ("class:menu.meaning", f" {row.display_meta_text[:_MENU_WIDTH]} ")]
        )
    below = len(state.completions) - first - len(rows)
    if below > 0:
        lines.append([("class:menu.meaning", f" {below} more ")])
    return _joined(lines)


def _answer(answer: Answer) -> Fragments:
    style = "class:bad" if answer.error else "class:event" if answer.event else ""
    return [("class:dim", f"{answer.t_s:9.3f} s  "), (style, answer.text)]


def _joined(lines: Iterable[Fragments]) -> StyleAndTextTuples:
    pieces: list[Any] = []
    for line in lines:
        pieces += [*line, ("", "\n")]
    return pieces[:-1]
