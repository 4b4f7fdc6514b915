"""Chinese, simplified and traditional: Han characters, and what is quoted among them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from data_prep.cleaning.letters import Letters
from data_prep.cleaning.quality_limits import QualityLimits
from data_prep.cleaning.verdicts import Page, Verdict
from data_prep.code_points import HAN_RANGES
from data_prep.languages import Language
from data_prep.languages.en import English
from data_prep.segmenters import Segmenter

FUNCTION_WORDS = """
的 地 得 了 着 过 是 在 有 和 与 及 或 而 但 也 都 又 就 才 还 再 很 更 最 太 不 没 没有 被 把 将
对 向 从 由 于 至 到 以 为 因 因为 所以 如果 但是 而且 并 并且 以及 之 其 此 该 这 那 哪 谁 我 你 您
他 她 它 我们 你们 他们 她们 它们 自己 这个 那个 这些 那些 这样 那样 这种 那种 什么 怎么 如何 个 一个 一种
一些 一名 一位 一次 两个 每 各 等 等等 者 所 则 且 若 如 使 让 给 可 可以 能 能够 会 要 应 必须 即 当
时 后 前 中 上 下 里 内 外 间 之后 之前 之间 之一 其中 其他 同时 由于 通过 根据 关于 对于 按照 作为 成为
称为 位于 包括 以上 以下 另 另外 曾 曾经 已 已经 正 正在 吗 呢 吧 啊 呀 嘛 么 说 道 去 来 年 月 日
时候 做 们 個 這 這個 這些 們 對 於 為 與 從 將 會 後 裡 內 間 時 來 還 過 著 沒有 因為 由於 並 並且
之間 之後 其後 讓 給 當 則 嗎 麼 說 這種 一個 一種 我們 他們 她們 它們 個人 應 經
"""


@dataclass(frozen=True, kw_only=True)
class Chinese(Language):
    """Chinese, recognised by its share of Han characters (`cleaning.han_share`), unless kana or Hangul among them say
    otherwise."""

    code = "zh"
    names = ("zho", "chi", "cmn", "cn", "chs", "cht", "lzh", "yue", "wuu", "gan", "chinese", "mandarin")
    scripts = HAN_RANGES
    asked = 10
    trial = "长江。"
    begins = ()
    spaced = False
    function_words = tuple(dict.fromkeys([*English.function_words, *FUNCTION_WORDS.split()]))
    """Chinese documents quote English, so the English ones belong to both."""

    def segmenter(self) -> Segmenter:
        from data_prep.segmenters.rjieba import Rjieba

        return Rjieba()

    def speaks(self, letters: Letters) -> bool:
        if letters.ascii:
            return False
        han = letters.han
        return 0 < han >= letters.han_share * letters.total and letters.chinese

    def verdicts(self, page: Page, limits: QualityLimits) -> Iterator[Verdict]:
        yield Verdict("han ratio", page.share(page.han), limits.min_han_ratio, False)
        yield from page.signs(limits)
