/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Keys of the portmap plugin in roost's own configuration: people who leave that plugin out carry its keys
 * over. docs/CNI.md has the whole table.
 */
#include <jansson.h>

#include "lib/err.h"

/* Refuses what would make host ports other ones than roost's: -EOPNOTSUPP names the key. */
int portmap_check(const json_t *doc, struct err *e);
