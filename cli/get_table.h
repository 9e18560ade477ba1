/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Resources of one kind as a table for people, with the columns that somebody looks for.
 */
#include <stddef.h>
#include <stdio.h>

#include "cli/inventory.h"

/* Items that cannot be read are left out. */
void get_table_print(
	FILE *f, enum resource_kind kind, const struct inventory_item *const *items, size_t n);
