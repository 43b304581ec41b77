#!/usr/bin/env python3
"""Draws docs/run.svg: a run against the built-in simulator, as a terminal of 112 columns shows it.

    cargo build --release --features cli && ci/picture.py target/release/paceline

Needs no network and no package. The picture has the live display in the middle of the run, and what the
command prints at its end.
"""

import fcntl
import html
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time

COLUMNS, ROWS, MIDDLE = 112, 40, 8.0
ARGUMENTS = ["run", "requests.jsonl", "--simulate", "--tpm", "90000", "--burst-seconds", "20"]
ESCAPE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")


class Screen:
    """As much of a terminal as the display uses: lines, and a cursor that moves up and back."""

    def __init__(self):
        self.lines, self.row, self.column = [""], 0, 0

    def feed(self, text):
        at = 0
        while at < len(text):
            escape = ESCAPE.match(text, at)
            if escape:
                at = escape.end()
                self.control(*escape.groups())
                continue
            if text[at] == "\x1b":
                return text[at:]  # the rest comes with the next read
            self.put(text[at])
            at += 1
        return ""

    def control(self, number, letter):
        count = int(number) if number.isdigit() else 1
        line = self.lines[self.row]
        if letter == "A":
            self.row = max(0, self.row - count)
        elif letter == "B":
            self.down(count)
        elif letter == "G":
            self.column = count - 1
        elif letter == "C":
            self.column += count
        elif letter == "D":
            self.column = max(0, self.column - count)
        elif letter == "K":
            self.lines[self.row] = "" if number == "2" else line[: self.column]
        elif letter == "J":
            self.lines[self.row] = line[: self.column]
            del self.lines[self.row + 1 :]

    def down(self, count):
        self.row += count
        while self.row >= len(self.lines):
            self.lines.append("")

    def put(self, char):
        if char == "\n":
            self.down(1)
        elif char == "\r":
            self.column = 0
        elif char >= " ":
            if self.column == COLUMNS:
                self.down(1)
                self.column = 0
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + char + line[self.column + 1 :]
            self.column += 1

    def text(self):
        lines = [line.rstrip() for line in self.lines]
        while lines and not lines[-1]:
            lines.pop()
        return lines


def run(binary, folder):
    """The screen in the middle of a run, and at its end."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = {"PATH": os.environ["PATH"], "TERM": "xterm", "NO_COLOR": "1", "LANG": "C.UTF-8"}
    child = subprocess.Popen(
        [binary, *ARGUMENTS], cwd=folder, env=environment, stdin=slave, stdout=slave, stderr=slave, close_fds=True
    )
    os.close(slave)
    screen, middle, rest, began = Screen(), [], "", time.monotonic()
    pending = b""
    while True:
        try:
            read = os.read(master, 65536)
        except OSError:
            break  # the other end is closed: Linux says so with an error
        if not read:
            break
        pending += read
        text = pending.decode("utf-8", "ignore")
        pending = b""
        rest = screen.feed(rest + text)
        if time.monotonic() - began < MIDDLE:
            middle = screen.text()
    if child.wait() != 0:
        sys.exit(f"the run ended with {child.returncode}: {screen.text()}")
    return middle, screen.text()


def draw(blocks):
    """An SVG of a terminal that shows these blocks of lines, one below the other."""
    rows, y = [], 46
    for kind, lines in blocks:
        for line in lines:
            rows.append(f'<text class="{kind}" x="16" y="{y}" xml:space="preserve">{html.escape(line)}</text>')
            y += 19
        y += 10
    width, height = COLUMNS * 8 + 32, y
    style = (
        "text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#d8dee9}"
        ".typed{fill:#a3d977}.note{fill:#8a94a6}"
    )
    dots = "".join(
        f'<circle cx="{18 + 18 * at}" cy="16" r="5" fill="{fill}"/>'
        for at, fill in enumerate(["#ec6a5e", "#f4bf4f", "#61c554"])
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        ' role="img" aria-label="A run of paceline in a terminal">'
        f'<style>{style}</style><rect width="100%" height="100%" rx="8" fill="#1e222a"/>{dots}{"".join(rows)}</svg>\n'
    )


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    binary = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(os.path.join(root, "examples", "requests.jsonl"), folder)
        middle, end = run(binary, folder)
    blocks = [
        ("typed", ["$ paceline " + " ".join(ARGUMENTS)]),
        ("note", [f"after {MIDDLE:.0f} s:"]),
        ("shown", middle),
        ("note", ["at the end:"]),
        ("shown", end),
    ]
    picture = draw(blocks)
    with open(os.path.join(root, "docs", "run.svg"), "w", encoding="utf-8") as file:
        file.write(picture)
    print("\n".join(line for _, lines in blocks for line in lines))


if __name__ == "__main__":
    main()
