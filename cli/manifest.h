/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The files of apply, diff and delete: every document of them judged, lists (kind: List, and
 * IPPoolList and the like) taken apart.
 */
#include <jansson.h>
#include <stddef.h>

#include "cli/options.h"
#include "cluster/resource.h"
#include "lib/yaml.h"

struct manifest {
	const char *file; /* as given; "stdin" */
	const struct yaml_file *yaml;
	size_t document;
	char base[32]; /* where in the document: "", "items[3]" */
	struct resource resource;
	json_t *stored; /* document_stored() */
};

struct manifests {
	struct manifest *list;
	size_t n, room;
	struct yaml_file **files;
	size_t n_files, room_files;
};

/* Reads all files. Returns how many complaints went to stderr, each with its file and line; with
 * any, nothing should be done. A resource that is there twice is one. */
size_t manifests_read(const struct options *o, struct manifests *out);
void manifests_done(struct manifests *m);
#define CLEANUP_MANIFESTS __attribute__((cleanup(manifests_done)))

/* "roostctl: FILE:LINE: IPPool default: sentence" on stderr; where: the place of the field. */
void manifest_complain(const struct manifest *m, const char *where, const char *sentence);

/* A whole file of JSON_MAX_BYTES at most, "-" is stdin: NUL-terminated, the caller's. The error does
 * not name it. */
int manifest_read_bytes(const char *path, char **out, size_t *len, struct err *e);
