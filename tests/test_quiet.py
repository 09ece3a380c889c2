"""What the programs log as they start."""

import logging

import pytest
from omegaconf import OmegaConf

from lm_plugins.quiet import DUMPING, filter_configuration


class Kept(logging.Handler):
    """Keep every record."""

    def __init__(self):
        super().__init__()
        self.messages = []

    def emit(self, record):
        self.messages.append(record.getMessage())


@pytest.fixture(params=DUMPING)
def logger(request):
    filter_configuration()
    logger = logging.getLogger(request.param)
    logger.setLevel(logging.DEBUG)  # as some of fairseq's programs have it
    yield logger
    logger.handlers.clear()
    logger.setLevel(logging.NOTSET)


def test_the_configuration_goes_to_the_log_file_only(logger, caplog, monkeypatch):
    monkeypatch.delenv("LOGLEVEL", raising=False)
    logger.addHandler(log_file := Kept())
    configuration = OmegaConf.create({"common": {"seed": 1}})
    logger.info(configuration)
    logger.info("loading model(s) from a.pt")
    assert [record.getMessage() for record in caplog.records] == ["loading model(s) from a.pt"]
    assert log_file.messages == [str(configuration), "loading model(s) from a.pt"]
    monkeypatch.setenv("LOGLEVEL", "debug")
    logger.info(configuration)
    assert caplog.records[-1].getMessage() == str(configuration)
    assert len(log_file.messages) == 3


def test_it_is_filtered_once():
    for _ in range(2):
        filter_configuration()
    assert all(len(logging.getLogger(name).filters) == 1 for name in DUMPING)
