#!/usr/bin/env bash
# large LSTM on Penn Treebank, 2 x 1500
# source: Zaremba, Sutskever and Vinyals 2014, arXiv:1409.2329; the TensorFlow tutorial on recurrent networks
# departure: every token is trained on, including those of a short last window, whose step has the full size;
#   the published code drops what does not fill all streams and windows
# departure: the learning rate first decays when it does in the paper and the TensorFlow tutorial; Zaremba's
#   Lua code decays it an epoch later
# published perplexity, valid / test:
#   trained  82.2 / 78.4
# note: about 24 hours on a K20, according to table 5.2 of Zhang 2018
arch=lstm_large finetune=no cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
