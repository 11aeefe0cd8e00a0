// Sends the only form of the page, which goes back to an application (OAuth 2.0 Form Post Response Mode).
document.forms[0].submit();
