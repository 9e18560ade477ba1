/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts a document into a cluster store as it is, or deletes it: what a stranger with access to the
 * store could do. roostctl would refuse most of what the tests write with this. And lists documents
 * as they are.
 *
 *	storeput URL KEY <VALUE      the value may be anything but NUL bytes
 *	storeput URL KEY --delete
 *	storeput URL PREFIX --list   key, tabulator, value; one line each (values of ours have one)
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "store/store.h"
#include "tests/overwrite.h"

#define VALUE_MAX (4u << 20)

static char *read_value(void)
{
	char *value = mem_new(VALUE_MAX + 1, 1);
	size_t n = fread(value, 1, VALUE_MAX, stdin);
	value[n] = '\0';
	return value;
}

static int list(struct store *s, const char *prefix, struct err *e)
{
	struct store_doc *docs = NULL;
	size_t n = 0;
	int r = store_list(s, prefix, &docs, &n, e);
	for (size_t i = 0; r >= 0 && i < n; i++)
		(void)printf("%s\t%s\n", docs[i].key, docs[i].value);
	store_docs_free(docs, n);
	return r;
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		(void)fprintf(stderr, "usage: storeput URL KEY [--delete | --list]\n");
		return 2;
	}
	struct err e;
	struct store *s = NULL;
	const struct store_options options = {.url = argv[1]};
	bool lists = argc > 3 && strcmp(argv[3], "--list") == 0;
	int r = lists || store_is_key(argv[2]) ? store_open(&s, &options, &e)
					       : err_set(&e, EINVAL, "%s cannot be a key", argv[2]);
	if (r >= 0 && lists) {
		r = list(s, argv[2], &e);
		store_close(s);
	} else if (r >= 0) {
		CLEANUP_FREE char *value = argc > 3 ? NULL : read_value();
		r = overwrite(s, argv[2], value, &e);
		store_close(s);
	}
	if (r < 0)
		(void)fprintf(stderr, "storeput: %s\n", e.text);
	return r < 0;
}
