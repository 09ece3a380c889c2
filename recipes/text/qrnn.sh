#!/usr/bin/env bash
# A small QRNN on a text of yours: give --source FILE
# source: ours
corpus=text name=qrnn arch=qrnn_small
finetune=no cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
