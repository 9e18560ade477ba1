/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The picture of the blocks: a cell an address, 64 to a row, each row behind its first address.
 * Pure: a view in, text out.
 */
#include <stdbool.h>
#include <stdio.h>

#include "ipam/node.h"

#define MAP_ROW 64     /* cells of a row */
#define MAP_WHOLE 1024 /* addresses of a block that is drawn whole; else only rows with content */

/* All blocks and a legend; nothing when there is no block. */
void map_print(FILE *f, const struct node_view *v, bool color);
