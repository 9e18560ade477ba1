/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The rule between exits and pools: what is inside a pool belongs to pods, and no exit leads there.
 * For cli/rules.h, which says what a set is. docs/resources/bgpconfiguration.md states it.
 */
#include <stddef.h>

#include "cli/rules.h"

/* Of item i, a BGPConfiguration, BGPPeer or IPPool; others are fine. What was wrong before is
 * not held against it. -EINVAL, and *where is the field. */
int rules_check_exits(const struct rules_set *s, size_t i, const char **where, struct err *e);
