/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Keys of a network configuration that was written for Calico's plugin, as far as roost serves none of
 * them (the others are read in conf.c). Network configurations are moved from one to the other by
 * people who change "type" alone, so a key that would change what a pod gets is not passed over in
 * silence. docs/CNI.md has the whole table.
 */
#include <jansson.h>

#include "lib/err.h"

#define CALICO_IGNORED 512 /* bytes of the list of ignored keys */

/* Refuses what a pod would miss without a word: -EOPNOTSUPP names key, value and what to do. */
int calico_check(const json_t *doc, struct err *e);

/* Lists the keys that mean nothing here and say something, "datastore_type, kubernetes"; "" without
 * any. */
void calico_list_ignored(const json_t *doc, char out[CALICO_IGNORED]);

/* Warns of such a list, once for each state folder (dir, which exists) and list. */
void calico_warn_once(const char *dir, const char *ignored);
