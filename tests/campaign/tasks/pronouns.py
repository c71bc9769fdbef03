"""As winogrande does it: the answers are contexts, and what is scored follows each."""


def number(doc):
    return doc["answer"]


def contexts(doc):
    before = doc["sentence"].split("_")[0]
    return [before + name for name in doc["names"]]


def rest(doc):
    return doc["sentence"].split("_")[1].strip()
