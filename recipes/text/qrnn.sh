#!/usr/bin/env bash
# a small QRNN on your own text: give --source FILE
arch=qrnn_small finetune=no cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
