/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * YAML (and so JSON) files as jansson trees that remember their lines, over libyaml. Core schema of
 * YAML 1.2 for scalars: null, true/false, integers, reals, else text; quoted scalars are text.
 * Anchors, aliases, tags and duplicate keys are refused.
 */
#include <jansson.h>
#include <stddef.h>

#include "lib/err.h"

struct yaml_file;

/* Reads all documents of a file (1 MiB at most, nesting 64). Errors name line and column. Empty
 * documents are left out. -EBADMSG. */
int yaml_parse(const char *bytes, size_t len, struct yaml_file **out, struct err *e);
/* Takes NULL. (libyaml has a yaml_free() of its own.) */
void yaml_file_free(struct yaml_file *f);

size_t yaml_count(const struct yaml_file *f);
json_t *yaml_document(const struct yaml_file *f, size_t i); /* borrowed */

/* The line (from 1) of a place in document i: "spec.cidr", "items[3].metadata.name", "" for its
 * beginning; of the nearest enclosing place when there is no such one. */
unsigned int yaml_line(const struct yaml_file *f, size_t i, const char *place);
unsigned int yaml_column(const struct yaml_file *f, size_t i, const char *place); /* from 1 */

/* A document as YAML text (block style, keys in the order of the tree); the caller frees it. */
char *yaml_text(const json_t *doc);
