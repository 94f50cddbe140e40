from . import guessing, looking, pages, ranking, session, sitting, table

__all__ = ["guessing", "looking", "pages", "ranking", "session", "sitting", "table"]
