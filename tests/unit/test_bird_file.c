/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/bird/file.h"
#include "lib/mem.h"

static char folder[] = "/tmp/bird_file-XXXXXX";
static char path[64];

FIXTURE(make_folder)
{
	(void)snprintf(folder, sizeof(folder), "/tmp/bird_file-XXXXXX");
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/bird.conf", folder);
	return 0;
}

FIXTURE(remove_folder)
{
	static const char *const suffixes[] = {"", ".new", ".old", ".check"};
	for (size_t i = 0; i < COUNT(suffixes); i++) {
		char file[80];
		(void)snprintf(file, sizeof(file), "%s%s", path, suffixes[i]);
		(void)unlink(file);
	}
	return rmdir(folder);
}

static struct bird_file a_file(const char *group)
{
	struct bird_file f;
	struct err e;
	assert_int_equal(bird_file_init(&f, path, "/etc/bird/roost.d", group, &e), 0);
	return f;
}

static void place(const struct bird_file *f, const char *text)
{
	struct err e;
	assert_int_equal(bird_file_write(f, text, &e), 0);
	assert_int_equal(bird_file_put(f, &e), 0);
}

TEST(a_text_that_is_kept_is_there_alone)
{
	struct bird_file f = a_file("");
	assert_false(bird_file_is(&f, "one\n"));
	place(&f, "one\n");
	bird_file_keep(&f);
	place(&f, "two\n");
	assert_true(bird_file_is(&f, "two\n"));
	assert_false(bird_file_is(&f, "two"));
	assert_false(bird_file_is(&f, "TWO\n"));
	assert_int_equal(access(f.old, F_OK), 0);
	bird_file_keep(&f);
	assert_int_equal(access(f.old, F_OK), -1);
	assert_int_equal(access(f.fresh, F_OK), -1);
	assert_int_equal(access(f.check, F_OK), -1);
}

TEST(a_text_that_is_taken_back_leaves_the_former_one)
{
	struct bird_file f = a_file("");
	place(&f, "one\n");
	bird_file_keep(&f);
	place(&f, "two\n");
	bird_file_take_back(&f);
	assert_true(bird_file_is(&f, "one\n"));
	place(&f, "three\n");
	bird_file_take_back(&f);
	assert_true(bird_file_is(&f, "one\n"));
}

TEST(a_first_text_that_is_taken_back_leaves_nothing)
{
	struct bird_file f = a_file("");
	place(&f, "one\n");
	bird_file_take_back(&f);
	assert_int_equal(access(f.path, F_OK), -1);
}

TEST(a_text_that_is_only_tried_does_not_touch_the_file)
{
	struct bird_file f = a_file("");
	struct err e;
	place(&f, "one\n");
	bird_file_keep(&f);
	assert_int_equal(bird_file_write(&f, "two\n", &e), 0);
	assert_true(bird_file_is(&f, "one\n"));
	FILE *check = fopen(f.check, "re");
	assert_non_null(check);
	char text[1024] = "";
	(void)!fread(text, 1, sizeof(text) - 1, check);
	(void)fclose(check);
	assert_says(text, "/bird.conf.ne[w]\";");
	assert_says(text, "\"/et[c]/bir[d]/roost.[d]/*.conf\";");
}

TEST(links_that_lie_in_the_way_are_not_followed)
{
	struct bird_file f = a_file("");
	assert_int_equal(symlink("/tmp/bird_file-elsewhere", f.fresh), 0);
	assert_int_equal(symlink("/tmp/bird_file-elsewhere", f.check), 0);
	place(&f, "one\n");
	assert_int_equal(access("/tmp/bird_file-elsewhere", F_OK), -1);
	struct stat st;
	assert_int_equal(lstat(f.path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
}

TEST(only_the_group_may_read)
{
	struct stat st;
	struct bird_file f = a_file("");
	place(&f, "one\n");
	assert_int_equal(stat(f.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	if (getuid() != 0)
		return; /* another user cannot give a file to a group */
	f = a_file("root");
	place(&f, "two\n");
	assert_int_equal(stat(f.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(st.st_gid, 0);
}

TEST(an_unknown_group_is_an_error_that_names_it)
{
	struct bird_file f = a_file("no-such-group");
	struct err e;
	refused(bird_file_write(&f, "one\n", &e), ENOENT, "\"no-such-group\"");
}

TEST(paths_that_bird_cannot_read_are_refused)
{
	static const char *const bad[] = {"", "relative/bird.conf", "/a\"b", "/a\nb"};
	struct bird_file f;
	struct err e;
	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_int_equal(bird_file_init(&f, bad[i], "", "", &e), -EINVAL);
		if (*bad[i])
			assert_int_equal(bird_file_init(&f, "/x", bad[i], "", &e), -EINVAL);
	}
	char long_path[600] = "/";
	memset(long_path + 1, 'x', sizeof(long_path) - 2);
	assert_int_equal(bird_file_init(&f, long_path, "", "", &e), -EINVAL);
	assert_int_equal(bird_file_init(&f, "/x", "", long_path, &e), -EINVAL);
}

#define WITH_FOLDER(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FOLDER(a_text_that_is_kept_is_there_alone),
		WITH_FOLDER(a_text_that_is_taken_back_leaves_the_former_one),
		WITH_FOLDER(a_first_text_that_is_taken_back_leaves_nothing),
		WITH_FOLDER(a_text_that_is_only_tried_does_not_touch_the_file),
		WITH_FOLDER(links_that_lie_in_the_way_are_not_followed),
		WITH_FOLDER(only_the_group_may_read),
		WITH_FOLDER(an_unknown_group_is_an_error_that_names_it),
		cmocka_unit_test(paths_that_bird_cannot_read_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
