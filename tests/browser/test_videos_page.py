"""The page of videos in a real browser: filter, sort, play, deep links, keyboard, narrow, alone."""

import json

import numpy as np
import page_checks
import pytest
import videos_study

from harlib.evaluation import Scores
from harlib.study.report import index, video_copies, videos_page
from harlib.study.wording import addresses

WRONG = ["v02", "v09", "v16", "v04", "v23"]  # of 03_c3d: every seventh, the swapped one, the unread


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    runs = videos_study.write(tmp_path_factory.mktemp("videos"))
    return index.write_index(runs).parent


@pytest.fixture
def opened(browser, reports):
    """Opens the page at an address of `addresses.videos`."""
    with page_checks.opener(browser) as opened:

        def at(width=1280, dark=False, **wanted):
            page = opened(reports / videos_page.NAME, width=width, dark=dark)
            if wanted:
                page.goto((reports / videos_page.NAME).as_uri() + addresses.videos(**wanted)[11:])
                page.reload()
                page.asked[:] = page.asked[-1:]
            page.wait_for_selector("body[data-ready]")
            return page

        yield at


def names(page):
    return page.locator(".rows .name").all_inner_texts()


def address(page):
    return page.evaluate("location.hash")


def test_the_index_links_to_it(reports):
    assert 'href="videos.html"' in (reports / "index.html").read_text()


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("video", ["", "v04"])
def test_it_is_alone_silent_fits_and_axe_finds_nothing(opened, width, video):
    page = opened(width, dark=width == 390, **({"video": video} if video else {}))
    if video:
        page.wait_for_selector("video")
    page_checks.alone_and_silent(page)
    page_checks.fits(page)
    page_checks.axe_finds_nothing(page)


def test_it_filters_and_the_address_follows(opened):
    page = opened()
    assert "24 of 24 videos" in page.inner_text(".said")
    page.get_by_label("Right or wrong").select_option("no")
    assert sorted(names(page)) == sorted(WRONG)
    page.get_by_label("Find in").fill("V16")
    assert names(page) == ["v16"]
    assert address(page) == "#right=no&find=V16"
    page.get_by_label("Find in").fill("no such video")
    assert "No video is like this" in page.inner_text(".rows")
    page.get_by_label("Find in").fill("")
    page.get_by_label("Run", exact=True).select_option("04_resnext101")
    assert sorted(names(page)) == ["v03", "v04", "v10", "v17", "v23"]
    page.get_by_role("button", name="All videos").click()
    page.get_by_label("Group", exact=True).select_option("g1")
    assert sorted(names(page)) == ["v04", "v05", "v06", "v07"]
    page.get_by_role("button", name="Suspected labels").click()
    assert names(page)[0] == videos_study.SWAPPED
    assert address(page) == "#run=04_resnext101&suspect=yes&sort=suspect"


def test_an_address_opens_it_filtered(opened):
    page = opened(true="waving <b>", called="bowing", run="03_c3d", video="v02")
    assert "v02" in names(page)
    assert page.get_by_label("True category").input_value() == "waving <b>"
    assert page.inner_text(".panel h2") == "v02"
    for row in page.locator(".rows tbody tr").all_inner_texts():
        assert "waving <b>" in row and "✗ bowing" in row
    page = opened(right="yes", sure="99-100", sort="sure")
    shown = page.locator(".rows tbody tr td:nth-child(3) small").all_inner_texts()
    values = [float(text.removesuffix(" %")) for text in shown]
    assert values == sorted(values) and all(value >= 99 for value in values)


def test_what_an_address_asks_for_in_vain_is_said(opened):
    page = opened(video="v99")
    assert "There is no video v99" in page.inner_text(".said")
    page = opened(true="<img src=x onerror=alert(1)>")
    assert "0 of 24 videos" in page.inner_text(".said")
    assert page.locator("img").count() == 0


def test_a_heading_sorts_up_and_down(opened):
    page = opened()
    page.locator(".rows th button").first.click()
    assert names(page) == sorted(names(page)) and len(names(page)) > 10
    assert page.get_attribute(".rows th:first-child", "aria-sort") == "ascending"
    page.keyboard.press("Enter")
    assert names(page) == sorted(names(page), reverse=True)
    assert address(page) == "#sort=-id"


def test_a_click_plays_the_clip_and_tells_what_each_run_and_view_said(opened):
    page = opened(find="v04")
    page.locator(".rows tbody tr td:nth-child(2)").first.click()
    page.wait_for_function("document.querySelector('video')?.readyState >= 2")
    assert page.evaluate("document.querySelector('video').src").startswith("data:video/mp4")
    said = page.inner_text(".panel")
    assert "v04.mp4" in said and "2.4 s" in said
    assert "the runs' mean gives waving <b> the most" in said
    assert page.locator(".panel .bars").count() == 2
    assert page.locator(".panel .bars").first.locator("li").count() == 3
    page.locator(".panel summary").first.click()
    assert page.locator(".panel .views").first.locator("li").count() == 4
    assert address(page) == "#find=v04&video=v04"


def test_by_keyboard_alone(opened):
    page = opened(sort="id")
    page.locator(".rows").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.textContent") == "v01"
    page.keyboard.press("Enter")
    assert page.inner_text(".panel h2") == "v01"
    page.keyboard.press("ArrowDown")
    assert page.inner_text(".panel h2") == "v02"
    page.keyboard.press("End")
    assert page.inner_text(".panel h2") == "v23"
    assert "could not be read" in page.inner_text(".panel")
    page.keyboard.press("Escape")
    assert not page.locator(".panel").is_visible()
    assert page.evaluate("document.activeElement.textContent") == "v23"


def test_runs_disagree_leaves_out_where_they_agree(opened):
    page = opened()
    page.get_by_role("button", name="Runs disagree (6)").click()
    assert sorted(names(page)) == ["v02", "v03", "v09", "v10", "v16", "v17"]
    assert "6 of 24 videos" in page.inner_text(".said")
    assert address(page) == "#agree=no&sort=agree"
    assert page.get_by_label("The runs").input_value() == "no"
    page = opened(agree="no", right="no", run="04_resnext101")
    assert sorted(names(page)) == ["v03", "v10", "v17"]


def test_a_row_says_whether_its_video_plays(opened, reports, monkeypatch, browser):
    playing = ".rows tr:has(.plays) .name"
    page = opened(sort="id")
    assert page.locator(playing).all_inner_texts() == [f"v{number:02d}" for number in range(23)]
    few = reports / "few"
    monkeypatch.setattr(videos_page, "TELLING", 9)
    videos_page.write(reports.parents[1] / "runs" / "mine", few)
    with page_checks.opener(browser) as of_few:
        page = of_few(few / videos_page.NAME)
        page.goto((few / videos_page.NAME).as_uri() + "#find=v1")
        page.reload()
        page.wait_for_selector("body[data-ready]")
        assert "9 of 23 videos can be played from this page, marked with ▶" in page.inner_text(
            ".lead"
        )
        assert 0 < page.locator(playing).count() < 9
        page.locator(".rows tbody tr:not(:has(.plays)) .name").first.click()
        page.wait_for_selector(".preview p")
        assert "Whoever has the runs can add all: har report mine --videos" in page.inner_text(
            ".preview"
        )


CUT = """() => [...document.querySelectorAll(".rows :is(th button, td > *)")]
    .filter((e) => e.checkVisibility())
    .filter((e) => e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 2)
    .map((e) => e.textContent)"""


HEIGHTS = """() => [...new Set([...document.querySelectorAll(".rows tbody tr:not(.gap)")]
    .map((e) => Math.round(e.getBoundingClientRect().height)))]"""


LONG_NAME = "actorV00007_000003_000005"
RENAME = "name => document.querySelectorAll('.name').forEach(e => e.textContent = name)"


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_has_rows_of_one_height(opened, width):
    page = opened(width=width, run="04_resnext101")
    page.evaluate(RENAME, LONG_NAME)
    assert page.evaluate(HEIGHTS) == [88]


def test_a_phone_shows_the_rows_whole_and_folds_rare_filters(opened):
    page = opened(width=390, run="04_resnext101")
    page.evaluate(RENAME, LONG_NAME)
    assert page.evaluate(CUT) == []
    assert LONG_NAME in names(page)
    assert page.locator(".others").is_visible()
    group, summary = page.get_by_label("Group", exact=True), page.locator(".rarer summary")
    assert page.get_by_label("Called").is_visible() and not group.is_visible()
    summary.focus()
    page.keyboard.press("Enter")
    group.select_option("g1")
    assert len(names(page)) == 4
    assert summary.inner_text() == "More filters and the order (1 set)"
    page = opened(width=390, find="v04", video="v04")
    page.wait_for_selector("video")
    assert page.locator(".rows").bounding_box()["height"] < 200
    page = opened(width=1280)
    assert page.get_by_label("Group", exact=True).is_visible()
    assert not page.locator(".others").is_visible()


@pytest.mark.parametrize("width", [390, 1280])
def test_the_opened_panel_scrolls_with_the_page_and_its_bars_are_whole(opened, width):
    page = opened(width=width, video="v04")
    page.wait_for_selector("video")
    assert page.evaluate("""() => [...document.querySelectorAll(".panel, .rows")].every(
        (e) => e.scrollWidth <= e.clientWidth)""")
    assert page.evaluate("""() => {
        const panel = document.querySelector(".panel");
        return panel.scrollHeight <= panel.clientHeight + 1;
    }""")
    for bar in page.locator(".bars li").all():
        middles = []
        for part in (".what", ".track", ".track span", ".value"):
            box = bar.locator(part).first.bounding_box()
            middles.append(box["y"] + box["height"] / 2)
        assert max(middles) - min(middles) <= 2


def test_names_of_categories_are_text(opened):
    page = opened(width=390, video="v02")
    assert page.locator(".videos b").count() == 0


def test_the_same_files_give_the_same_bytes(reports):
    before = (reports / videos_page.NAME).read_bytes()
    videos_page.write(reports.parents[1] / "runs" / "mine", reports)
    assert (reports / videos_page.NAME).read_bytes() == before
    assert str(reports.parents[1]).encode() not in before


def test_copies_beside_the_page_are_played_from_there(browser, tmp_path):
    runs = videos_study.write(tmp_path, videos=8)
    folder, said = tmp_path / "reports" / "mine", []
    video_copies.write(runs, folder, say=said.append)
    made = {path.name: path.read_bytes() for path in (folder / "videos").iterdir()}
    assert len(made) == 7
    assert "7 videos, 7 of them new" in said[0]
    video_copies.write(runs, folder, say=said.append)
    assert "7 videos, 0 of them new" in said[1]
    for name, content in made.items():  # as of a run with a network
        (folder / "videos" / name.replace(".mp4", ".03_c3d.cam.mp4")).write_bytes(content)
    page = index.write_index(runs).with_name(videos_page.NAME)
    text = page.read_text()
    assert "All 7 videos can be played, from the folder videos" in text
    # as of a study too large for previews in its page
    start = text.index('id="clips">') + len('id="clips">')
    end = text.index("</script>", start)
    assert len(json.loads(text[start:end])) == 7
    page.write_text(text[:start] + "{}" + text[end:])
    with page_checks.opener(browser) as opened:
        shown = opened(page)
        shown.wait_for_selector("body[data-ready]")
        shown.locator(".rows .name").nth(1).click()
        shown.wait_for_function("document.querySelector('video')?.readyState >= 2")
        assert "/reports/mine/videos/" in shown.evaluate("document.querySelector('video').src")
        button = shown.get_by_role("button", name="Where 03_c3d looked")
        button.click()
        shown.wait_for_function("document.querySelector('video').src.endsWith('.cam.mp4')")
        assert button.get_attribute("aria-pressed") == "true"
        assert not shown.said


def test_next_goes_on_from_the_opened_video_under_other_filters(opened):
    page = opened(sort="id", video="v05")
    heading, said = page.locator(".panel h2"), page.get_by_label("Find in")
    before, after = (page.get_by_role("button", name=n, exact=True) for n in ("Previous", "Next"))
    page.get_by_label("Order").select_option("-id")
    before.click()
    assert heading.inner_text() == "v06"
    said.fill("v16")  # leaves the opened one out
    assert before.is_disabled() and after.is_enabled()
    after.click()
    assert heading.inner_text() == "v16" and address(page) == "#find=v16&sort=-id&video=v16"
    assert before.is_disabled() and after.is_disabled()
    said.fill("no such video")
    assert before.is_disabled() and after.is_disabled()
    said.fill("")
    assert page.get_attribute(".rows tr[aria-current]", "aria-rowindex") == "9"  # in sight
    after.click()
    assert heading.inner_text() == "v15"
    assert not page.said


@pytest.fixture
def apart(browser, tmp_path):
    """Two folds, and a run of some of their videos; three of these have one name."""
    runs, names = tmp_path / "runs" / "mine", ["a", "b"]
    sure = np.float32([[2 / 3, 1 / 3]] * 3)

    def write(name, videos, label, group, split="test", **missing):
        views = np.repeat(sure[: len(videos), None], 2, axis=1)
        own = Scores(videos, label, names, sure[: len(videos)], views, [group] * len(videos),
                     **missing)  # fmt: skip
        videos_study.write_run(runs / name, own, "0" * 12)
        about = json.loads((runs / name / "metrics.json").read_text())
        about["protocol"]["split"] = split
        (runs / name / "metrics.json").write_text(json.dumps(about))

    write("03_c3d.fold1", ["x", "y"], [0, 0], "g1")
    write("03_c3d.fold2", ["x", "z"], [1, 1], "g2",
          missing_id=["w"], missing_label=[1], missing_group=["g2"])  # fmt: skip
    write("04_resnext101", ["x", "z"], [0, 1], "g3", split="val")
    page_of = videos_page.write(runs, tmp_path / "reports" / "mine")
    with page_checks.opener(browser) as opened:

        def at(**wanted):
            page = opened(page_of)
            page.goto(page_of.as_uri() + addresses.videos(**wanted)[11:])
            page.reload()
            page.wait_for_selector("body[data-ready]")
            return page

        yield at


def test_videos_of_one_name_have_addresses_of_their_own(apart):
    def facts(page):
        return dict(
            zip(
                page.locator(".panel dt").all_inner_texts(),
                page.locator(".panel dd").all_inner_texts(),
                strict=True,
            )
        )

    page, found = apart(find="x"), set()
    assert names(page) == ["x", "x", "x"]
    for row in range(3):
        page.locator(".rows .name").nth(row).click()
        own, hash_ = facts(page), address(page)
        found.add(hash_)
        page.goto(page.url.partition("#")[0] + hash_)
        page.reload()
        page.wait_for_selector(".panel h2")
        assert facts(page) == own and address(page) == hash_
    assert len(found) == 3 and "#find=x&video=x&of=b&split=test" in found
    page.get_by_role("button", name="Close").click()
    assert address(page) == "#find=x"
    assert facts(apart(video="x", of="b", run="04_resnext101"))["true"] == "b"
    assert "There is no video z, a" in apart(video="z", of="a").inner_text(".said")


def test_a_run_and_a_fold_have_the_videos_that_they_were_to_score(apart):
    def shown(**wanted):
        return sorted(names(apart(**wanted)))

    assert shown(true="b") == ["w", "x", "z", "z"]
    assert shown(true="b", run="03_c3d") == ["w", "x", "z"]
    assert shown(true="b", run="04_resnext101") == ["z"]
    assert shown(true="b", run="03_c3d.fold2") == ["w", "x", "z"]
    assert shown(true="b", run="03_c3d.fold1") == []
    assert shown(right="yes", run="03_c3d.fold1") == ["x", "y"]
    assert shown(right="no", run="03_c3d.fold1") == []
    page = apart(group="g1", run="03_c3d.fold1")
    assert page.get_by_label("Run", exact=True).input_value() == "03_c3d.fold1"
    assert shown(run="03_c3d.fold1", find="x") == ["x", "x", "x"]


def test_the_heading_of_the_chosen_run_sorts_and_keeps_its_fold(apart):
    page = apart(right="yes", run="03_c3d.fold1")
    page.get_by_role("columnheader", name="03_c3d").get_by_role("button").click()
    assert address(page).startswith("#run=03_c3d.fold1&right=yes&sort=")
    assert sorted(names(page)) == ["x", "y"]
    page = apart(true="b")
    page.get_by_role("columnheader", name="04_resnext101").get_by_role("button").click()
    assert address(page).startswith("#true=b&sort=") and len(names(page)) == 4
    page.get_by_role("columnheader", name="03_c3d").get_by_role("button").click()
    assert address(page).startswith("#run=03_c3d&true=b")


def test_another_run_stands_first_in_the_opened_video_too(opened):
    page = opened(video="v04", run="04_resnext101")
    page.wait_for_selector("video")
    first = page.locator(".panel h3").first
    assert first.inner_text().startswith("04_resnext101")
    page.get_by_label("Run", exact=True).select_option("03_c3d")
    assert first.inner_text().startswith("03_c3d")


def test_the_next_row_of_an_opened_video_that_is_filtered_out_is_the_first(opened):
    page = opened(video="v04")
    page.get_by_label("Find in").fill("v1")
    page.locator(".rows").focus()
    page.keyboard.press("ArrowDown")
    assert page.locator(".panel h2").inner_text() == names(page)[0]


def test_print_has_no_room_for_rows_that_are_not_drawn(opened):
    page = opened()
    page.add_style_tag(content=".videos .rows { max-height: 100px !important }")
    page.locator(".rows").evaluate("box => box.dispatchEvent(new Event('scroll'))")
    assert page.locator("tr.gap").count() == 1 and not page.locator(".printed").is_visible()
    page.emulate_media(media="print")
    assert not page.locator("tr.gap").is_visible() and page.locator(".printed").is_visible()


def test_a_call_that_nobody_made_shows_nothing(apart):
    assert names(apart(called="clapping", run="03_c3d")) == []
    assert names(apart(called="(could not be read)", run="03_c3d")) == ["w"]
    assert names(apart(called="(could not be read)", run="04_resnext101")) == []


def test_views_that_are_alike_are_said_once_and_rounded(apart):
    page = apart(video="y")
    assert "Each of its 2 views says a 67 %: they are alike" in page.inner_text(".panel")
    assert page.locator(".panel .views").count() == 0


def test_views_that_differ_are_listed(opened):
    page = opened(video="v04")
    page.locator(".panel summary", has_text="What each of its").first.click()
    said = page.locator(".panel .views").first.inner_text().split("\n")
    assert len(said) > 1 and len(set(said)) > 1


@pytest.fixture(scope="module")
def of_several(tmp_path_factory):
    """The page of one run of videos with several labels."""
    runs = tmp_path_factory.mktemp("several") / "runs" / "mine"
    own = Scores(
        video_id=["v1", "v2", "v3"], label=[0, 1, 2], categories=["bowing", "clapping", "jumping"],
        video_scores=[[0.02, 0.99, 0.01], [0.6, 0.9, 0.1], [0.1, 0.2, 0.3]],
        view_scores=np.empty((3, 0, 3)),
        label_sets=["bowing|clapping", "clapping", "jumping"],
    )  # fmt: skip
    videos_study.write_run(runs / "03_c3d", own, "0" * 12)
    return index.write_index(runs).parent / videos_page.NAME


def test_of_several_labels_one_stands_for_all_sets_that_it_is_in(browser, of_several):
    with page_checks.opener(browser) as opened:
        page = opened(of_several)
        page.wait_for_selector("body[data-ready]")
        pressed = page.locator(".presets [aria-pressed=true]")
        assert pressed.all_inner_texts() == ["All videos"]
        page.get_by_role("button", name="Surest mistakes").click()
        assert names(page) == ["v1", "v3", "v2"]
        assert pressed.all_inner_texts() == ["Surest mistakes"]
        page.locator("tbody .name").first.click()
        assert pressed.all_inner_texts() == ["Surest mistakes"]
        page.get_by_label("Right or wrong").select_option("yes")
        assert pressed.count() == 0
        page.get_by_role("button", name="All videos").click()
        page.get_by_label("True category").select_option("clapping")
        assert sorted(names(page)) == ["v1", "v2"]
        page.get_by_label("True category").select_option("bowing|clapping")
        assert names(page) == ["v1"]


def test_a_category_that_a_run_does_not_know_is_not_in_its_list(browser, tmp_path):
    runs = videos_study.write(tmp_path)
    own = Scores.load(runs / "03_c3d")
    kept = own.label < 2
    rows = {name: getattr(own, name)[kept] for name in ("video_id", "label", "group")}
    less = Scores(
        categories=own.categories[:2], video_scores=np.full((kept.sum(), 2), 0.5),
        view_scores=np.empty((kept.sum(), 0, 2)), **rows,
    )  # fmt: skip
    videos_study.write_run(runs / "04_resnext101", less, "0" * 12)
    page_of = index.write_index(runs).parent / videos_page.NAME
    with page_checks.opener(browser) as opened:
        page = opened(page_of)
        page.wait_for_selector("body[data-ready]")
        page.get_by_role("button", name="v00", exact=True).click()
        parts = page.locator(".panel section").filter(has_text="04_resnext101")
        assert parts.locator(".what").all_inner_texts() == ["bowing (true)", "clapping"]
