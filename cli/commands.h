/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The commands. Each gets the parsed command line, prints its answer on stdout and returns the exit
 * status: 0 fine, 1 the thing asked about is wrong or could not be done (said on stderr).
 */
#include "cli/options.h"

int ipam_show(const struct options *o);
int ipam_list(const struct options *o);
int ipam_map(const struct options *o);
int ipam_check(const struct options *o);
int ipam_release(const struct options *o);
