/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * From the cluster to the checks that send packets, each with what is expected of it. Pure.
 */
#include "cli/conform/check.h"

void conform_plan(const struct conform_cluster *c, struct conform_checks *out);
