"""Why a render did not succeed, in the words of the person who can act, and whether trying again can help."""


class RenderError(Exception):
    """A render failed. `message` is for the template's author and holds no path of this machine."""

    code = "internal"
    retry = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class TemplateError(RenderError):
    """The template, its data or its options are wrong. Line and column are those of the caller's source, from 1."""

    code = "template_error"

    def __init__(
        self, message: str, *, line: int | None = None, column: int | None = None, hints: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message)
        self.line = line
        self.column = column
        self.hints = hints


class LimitExceededError(RenderError):
    """The render would take more time, memory, pages, pixels or bytes than it may."""

    code = "resource_limit"


class RemoteFilesNeededError(RenderError):
    """The document shows images by address that the job does not bring along. With them it can be rendered."""

    code = "remote_files_needed"

    def __init__(self, urls: tuple[str, ...]) -> None:
        super().__init__(f"the document asks for {len(urls)} images by address")
        self.urls = urls


class EngineError(RenderError):
    """The engine itself fell over on this input. It would do so again."""

    code = "engine_error"


class EngineUnavailableError(RenderError):
    """Not the template's fault: a child or the zygote died, or no child could be had in time."""

    code = "internal"
    retry = True


class IsolationMissingError(RuntimeError):
    """Engines are not started here, because children could not be confined. The message lists what was open."""
