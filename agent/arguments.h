/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What roostd is told: command line, environment, /etc/roost/roostd.json, defaults, in this order.
 */
#include "cluster/agent_conf.h"
#include "lib/err.h"

/* Reads everything. *out is complete. 1: --help, --version or --check was answered, the caller ends
 * with 0. -EINVAL (usage), -EBADMSG and others (the file): at the start it ends with 2. */
int arguments_read(int argc, char **argv, struct agent_conf *out, struct err *e);
