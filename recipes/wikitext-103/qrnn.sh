#!/usr/bin/env bash
# four QRNN layers with a tied adaptive softmax on WikiText-103
# source: Merity, Keskar and Socher 2018, arXiv:1803.08240; the README of awd-lstm-lm
# published: valid 32.0 test 33.0
corpus=wikitext103 name=qrnn arch=qrnn_wt103
finetune=no cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
