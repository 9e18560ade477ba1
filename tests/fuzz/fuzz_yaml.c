/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: YAML files. What is read can be written, and is then read as the same tree; what is
 * refused is refused with a sentence; every place has a line.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <string.h>

#include "lib/json.h"
#include "lib/mem.h"
#include "lib/yaml.h"

#define KEY_MAX 160 /* bytes of an input whose keys stay below YAML's 1024 when all is escaped */

static void check_round_trip(const json_t *doc)
{
	CLEANUP_FREE char *text = yaml_text(doc);
	struct yaml_file *again = NULL;
	struct err e = {0};
	CHECK(yaml_parse(text, strlen(text), &again, &e) == 0);
	CHECK(yaml_count(again) == 1);
	CHECK(json_equal(yaml_document(again, 0), doc));
	yaml_file_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct yaml_file *f = NULL;
	struct err e = {0};
	int error = yaml_parse((const char *)data, size, &f, &e);
	if (error < 0) {
		CHECK(error == -EBADMSG && *e.text && json_is_utf8(e.text));
		return 0;
	}
	for (size_t i = 0; i < yaml_count(f) && i < 8; i++) {
		CHECK(yaml_line(f, i, "") > 0 && yaml_line(f, i, "a.b[0].c") > 0);
		if (size <= KEY_MAX)
			check_round_trip(yaml_document(f, i));
	}
	yaml_file_free(f);
	return 0;
}
