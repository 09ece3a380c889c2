#!/usr/bin/env bash
# large LSTM on Penn Treebank, 2 x 1500
# source: Zaremba, Sutskever and Vinyals 2014, arXiv:1409.2329; the TensorFlow tutorial on recurrent networks
# published perplexity, valid / test:
#   trained  82.2 / 78.4
arch=lstm_large finetune=no cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
