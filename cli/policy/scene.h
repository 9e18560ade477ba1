/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A cluster made of files: namespaces, pods, policies and the cases that somebody expects of them
 * (docs/POLICY-TESTING.md). Workloads count as one pod of their template each; pods without an address get one that
 * is nobody else's; namespaces that no file describes are there, as an API server would have made them.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "cli/options.h"
#include "lib/err.h"
#include "lib/yaml.h"
#include "policy/world.h"

struct scene_case { /* texts are borrowed from its document */
	const char *file;
	unsigned int line;
	const char *name; /* "" */
	const char *from, *to, *port;
	bool is_allowed; /* as expected */
};

struct scene {
	struct policy_world *world;
	struct scene_case *cases;
	size_t n_cases, room;
	size_t n_passed_over; /* documents of kinds that say nothing about policy */
	size_t n_pods;	      /* with invented addresses */
	struct yaml_file **files;
	size_t n_files, files_room;
};

/* Reads the files of --filename. Returns how many complaints went to stderr, each with its file and line. */
size_t scene_read(const struct options *o, struct scene *out);

/* The same for one text; file names it in complaints. Then scene_complete(), once. */
void scene_init(struct scene *s);
size_t scene_add(struct scene *s, const char *file, const char *bytes, size_t len);
void scene_complete(struct scene *s);
void scene_done(struct scene *s);
#define CLEANUP_SCENE __attribute__((cleanup(scene_done)))

/* Namespaces of pods and policies that nobody described, with the labels that each has by its name. */
void scene_add_namespaces(struct policy_world *w);
