"""Runs the cases of one module against a server: run_cases.py MODULE URL. Writes one JSON object per case, {"case", "problem"}, to standard output."""

import importlib
import inspect
import json
import sys
import traceback


def main(module, url):
    cases = importlib.import_module(module).cases(url)
    for case in cases:
        try:
            case()
            problem = None
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)
            inside = [frame for frame in where if frame.filename == inspect.getfile(case)][-1]
            problem = f"{type(error).__name__}: {error} (line {inside.lineno})"
        print(json.dumps({"case": case.__name__, "problem": problem}), flush=True)


main(*sys.argv[1:])
